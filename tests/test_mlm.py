"""Masked language modelling: what is hidden, what is asked, what the loss is."""

import pytest
import synthetic
import torch
import torch.nn.functional as F
from sampling import rate_within_five_sigma

from contriever_lite.batch import PairBatch, TokenBatch, batch_of_step
from contriever_lite.build import new_encoder, new_objective, result
from contriever_lite.config import TrainConfig
from contriever_lite.errors import ConfigError
from contriever_lite.mlm import MaskedLanguage
from contriever_lite.rng import torch_globals
from contriever_lite.tokens import ordinary_ids, special_ids
from contriever_lite.train import fit, train
from contriever_lite.transformer import framed

CORPUS = synthetic.corpus()
TINY = TrainConfig(
    encoder="transformer", dimension=16, layers=1, heads=2, dropout=0.0, objective="mlm",
    batch_size=32, steps=40, window=32, key_crop=(1.0, 1.0), key_delete=0.0, learning_rate=0.01,
)  # fmt: skip


def objective(**changes: float) -> MaskedLanguage:
    config = TINY.replace(**changes)
    return new_objective(config, new_encoder(config, CORPUS), CORPUS.tokenizer)


def pairs() -> PairBatch:
    config, usable = fit(TINY.replace(batch_size=100), CORPUS)
    return batch_of_step(CORPUS, usable, config, 0)


def test_the_loss_is_the_cross_entropy_of_the_hidden_tokens() -> None:
    model, batch = objective(), pairs()
    assert isinstance(model, MaskedLanguage)
    with torch_globals(0, "dropout", torch.device("cpu")):
        loss, measures = model(batch)
    with torch_globals(0, "dropout", torch.device("cpu")):
        rows = framed(batch.key, model.encoder.reading)
        chosen = model._choose(rows)
        hidden_rows = model._hide(rows, chosen)
    logits = []
    for number in range(len(rows)):
        row = hidden_rows.rows(number, number + 1)
        states = model.encoder.model(input_ids=row.tokens[None]).last_hidden_state[0]
        logits.append(model.guess(states))
    logits = torch.cat(logits)[chosen]
    naive = F.cross_entropy(logits, rows.tokens[chosen])
    torch.testing.assert_close(loss, naive, atol=1e-5, rtol=1e-5)
    right = (logits.argmax(1) == rows.tokens[chosen]).float().mean()
    torch.testing.assert_close(measures["accuracy"], right)


def test_shares_of_what_is_hidden() -> None:
    model = objective(masked=0.3)
    ids = special_ids(CORPUS.tokenizer)
    generator = torch.Generator().manual_seed(0)
    tokens = torch.tensor(ordinary_ids(CORPUS.tokenizer))
    tokens = tokens[torch.randint(len(tokens), (40_000,), generator=generator)]
    rows = framed(TokenBatch(tokens, torch.full((400,), 100)), model.encoder.reading)
    with torch_globals(0, "dropout", torch.device("cpu")):
        chosen = model._choose(rows)
        found = model._hide(rows, chosen).tokens
    special = (rows.tokens == ids.cls) | (rows.tokens == ids.sep)
    assert not (chosen & special).any()
    assert torch.equal(found[~chosen], rows.tokens[~chosen])
    rate_within_five_sigma(chosen[~special].numpy(), 0.3)
    rate_within_five_sigma((found[chosen] == ids.mask).numpy(), 0.8)
    other = (found[chosen] != ids.mask) & (found[chosen] != rows.tokens[chosen])
    share = 0.1 * (1 - 1 / len(ordinary_ids(CORPUS.tokenizer)))
    rate_within_five_sigma(other.numpy(), share)
    assert not torch.isin(found[chosen], torch.tensor([ids.pad, ids.cls, ids.sep])).any()


def test_it_learns_and_leaves_its_head_behind(tmp_path) -> None:
    log = tmp_path / "log.jsonl"
    encoder = train(TINY, CORPUS, log)
    assert {name.split(".")[0] for name in encoder.state_dict()} == {"model"}
    losses = [float(line.split('"loss": ')[1].split(",")[0].rstrip("}\n"))
              for line in log.read_text().splitlines() if '"loss"' in line]  # fmt: skip
    assert sum(losses[-10:]) / 10 < 0.9 * losses[0]


def test_no_bag_and_no_cached_gradients() -> None:
    with pytest.raises(ConfigError, match="set encoder=transformer micro_batch=null"):
        TrainConfig(objective="mlm")
    with pytest.raises(ConfigError, match="micro_batch = 4: it trains a transformer"):
        TINY.replace(micro_batch=4)
    assert result(objective(), TINY) is not None


@pytest.mark.parametrize("specials", [True, False])
def test_all_tokens_but_the_frame_of_each_row_may_be_chosen(specials: bool) -> None:
    model = objective(specials=specials)
    model.masked = 1.0
    rows = TokenBatch(torch.arange(9), torch.tensor([2, 4, 3]))
    frame = [0, 1, 2, 5, 6, 8] if specials else []
    assert model._choose(rows).logical_not().nonzero().flatten().tolist() == frame


def test_a_batch_of_which_nothing_is_hidden_costs_nothing() -> None:
    model = objective()
    model.masked = 0.0
    loss, measures = model(pairs())
    assert (loss.item(), measures["accuracy"].item()) == (0, 0)
    assert model(pairs(), measure=False)[1] == {}


def test_the_head_equals_its_formula() -> None:
    """g(h) E^T + b: a linear map, GELU, layer normalisation; E the encoder's own word vectors."""
    model, hidden = objective(), torch.randn(5, TINY.dimension)
    torch.nn.init.normal_(model.bias)
    linear = model.transform[0]
    g = F.layer_norm(F.gelu(hidden @ linear.weight.T + linear.bias), (TINY.dimension,))
    words = model.encoder.model.get_input_embeddings().weight
    torch.testing.assert_close(model.guess(hidden), g @ words.T + model.bias)
