"""The script behind chapter 08's comparison: what it searches, and its other pooling."""

import pytest
import torch
from sweep_transformer import BASELINE, SETTINGS, FirstToken, shelf

from contriever_lite.batch import to_tensors
from contriever_lite.beir import Collection
from contriever_lite.config import TrainConfig
from contriever_lite.corpus import ragged
from contriever_lite.transformer import Reading, new_model


def test_shelf_keeps_every_third_document_and_the_queries_that_ask_for_one() -> None:
    corpus = {f"d{i}": {"title": "", "text": str(i)} for i in range(8)}
    qrels = {"a": {"d1": 1}, "b": {"d3": 1}, "c": {"d2": 1, "d6": 1}}
    whole = Collection("x", "dev", corpus, dict.fromkeys(qrels, "?"), qrels)
    found = shelf(whole, every=3)
    assert list(found.corpus) == ["d0", "d3", "d6"]
    assert found.qrels.keys() == found.queries.keys() == {"b", "c"}


def test_first_token_gives_the_vector_of_cls_whatever_the_order_of_lengths() -> None:
    model = new_model(30, 16, 2, 2, dropout=0.0, longest=12).eval()
    rows = [[5, 6], [7, 8, 9, 10, 11], [12]]
    found = FirstToken(model, Reading(0, 2, 3), tokens_a_forward=8)(to_tensors(ragged(rows)))
    alone = [model(torch.tensor([[2, *row, 3]])).last_hidden_state[0, 0] for row in rows]
    wanted = torch.nn.functional.normalize(torch.stack(alone), dim=1)
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_share_all_but_what_their_name_says(name: str) -> None:
    """Bags and transformers see the same views, batches and pieces as the baseline."""
    config, base = SETTINGS[name][0], SETTINGS[BASELINE][0]
    shared = ("vocab_size", "dimension", "query_tokens", "key_crop", "batch_size", "temperature")
    assert isinstance(config, TrainConfig)
    assert [getattr(config, key) for key in shared] == [getattr(base, key) for key in shared]
    assert (config.encoder == "bag") == name.startswith("bag")
    assert config.steps == base.steps or "steps" in name
