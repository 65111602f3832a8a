"""Fine-tuning: it learns what the labels say, keeps its best state, and repeats itself."""

from statistics import fmean

import numpy as np
import pytest
import synthetic
import torch

from contriever_lite.build import new_encoder
from contriever_lite.errors import ConfigError, TrainingError
from contriever_lite.finetune import FromLabels, finetune, update
from contriever_lite.judge import Judge
from contriever_lite.labels import batch_of_labels, read_labels
from contriever_lite.loss import info_nce

WORLD, CORPUS = synthetic.world(), synthetic.corpus()
LABELS = read_labels(WORLD, CORPUS.tokenizer)
CONFIG = synthetic.SMALL.replace(batch_size=16, steps=20)
START = new_encoder(CONFIG, CORPUS)
JUDGE = Judge(WORLD)


def score(encoder: torch.nn.Module) -> float:
    return fmean(JUDGE(encoder, CORPUS, CONFIG)["ndcg@10"].values())


def hard() -> list[np.ndarray]:
    return [(answers[:3] + synthetic.EACH) % len(CORPUS) for answers in LABELS.answers]


def test_the_loss_is_info_nce_over_answers_and_mined() -> None:
    batch = batch_of_labels(LABELS, CORPUS, CONFIG, 0, hard())
    q, k, n = (START(texts) for texts in (batch.pairs.query, batch.pairs.key, batch.negatives))
    found = FromLabels(START, info_nce)(batch)
    assert torch.allclose(found, info_nce(q, k, n, ignore=batch.ignore), atol=1e-5)
    naive = []
    for i in range(len(q)):
        keep = ~batch.ignore[i]
        shares = (torch.cat([k, n]) @ q[i] / 0.05)[keep].log_softmax(0)
        naive.append(-shares[int(keep[:i].sum())])
    assert torch.allclose(found, torch.stack(naive).mean(), atol=1e-4)


@pytest.mark.parametrize("mined", [None, hard()], ids=["in-batch", "mined"])
def test_labels_teach(mined: list | None) -> None:
    before = START.vectors.detach().clone()
    found = finetune(CONFIG, START, CORPUS, LABELS, mined)
    assert score(found.encoder) > score(START) + 0.2
    assert found.steps == 20
    assert found.scores == {}
    assert torch.equal(START.vectors, before)


def test_the_best_state_is_kept() -> None:
    asked = iter([0.1, 0.7, 0.7, 0.2, 0.3])
    states = []

    def evaluate(encoder: torch.nn.Module) -> float:
        assert not encoder.training
        states.append(encoder.vectors.detach().clone())
        return next(asked)

    found = finetune(CONFIG, START, CORPUS, LABELS, evaluate=evaluate, every=5)
    assert found.scores == {0: 0.1, 5: 0.7, 10: 0.7, 15: 0.2, 20: 0.3}
    assert found.steps == 5
    assert torch.equal(found.encoder.vectors, states[1])
    assert not found.encoder.training


def test_it_repeats_itself_and_the_seed_matters() -> None:
    one, two, other = (
        finetune(CONFIG.replace(seed=seed, steps=3), START, CORPUS, LABELS).encoder.vectors
        for seed in (0, 0, 1)
    )
    assert torch.equal(one, two)
    assert not torch.equal(one, other)


def test_few_labels_make_a_small_batch() -> None:
    finetune(CONFIG.replace(steps=2, clip=1.0), START, CORPUS, LABELS.few(2, seed=0))
    with pytest.raises(ConfigError, match="1 labels"):
        finetune(CONFIG, START, CORPUS, LABELS.few(1, seed=0))


def test_labels_of_another_corpus() -> None:
    with pytest.raises(ConfigError, match="the corpus whose documents they name"):
        finetune(CONFIG, START, CORPUS.take(np.arange(10)), LABELS)
    last = max(int(numbers.max()) for numbers in LABELS.answers)
    with pytest.raises(ConfigError, match=f"number {last} of {last}"):
        finetune(CONFIG, START, CORPUS.take(np.arange(last)), LABELS)


def test_a_loss_that_is_no_number() -> None:
    broken = new_encoder(CONFIG, CORPUS)
    with torch.no_grad():
        broken.vectors.fill_(float("nan"))
    with pytest.raises(TrainingError, match="step 1: the loss is nan"):
        finetune(CONFIG, broken, CORPUS, LABELS)


def test_an_update_is_one_step_at_its_own_rate_and_length() -> None:
    weight = torch.nn.Parameter(torch.zeros(2))
    optimizer = torch.optim.SGD([weight], lr=9.0)
    weight.grad = torch.full((2,), 100.0)
    update(optimizer, weight @ torch.tensor([3.0, 4.0]), 0.5, None)
    torch.testing.assert_close(weight.data, torch.tensor([-1.5, -2.0]))
    update(optimizer, weight @ torch.tensor([3.0, 4.0]), 0.5, 1.0)
    torch.testing.assert_close(weight.data, torch.tensor([-1.8, -2.4]))


def test_it_trains_in_training_mode_after_an_evaluation() -> None:
    modes, start = [], new_encoder(CONFIG, CORPUS)
    start.register_forward_pre_hook(lambda module, _: modes.append(module.training))
    found = finetune(CONFIG.replace(steps=3), start, CORPUS, LABELS, evaluate=lambda _: 0.0)
    assert modes == [True] * 3
    assert list(found.scores) == [0, 3], "at both ends, whatever `every` says"


def test_the_batch_is_as_large_as_the_config_says() -> None:
    rows, start = [], new_encoder(CONFIG, CORPUS)
    start.register_forward_pre_hook(lambda _, given: rows.append(len(given[0])))
    finetune(CONFIG.replace(steps=1, batch_size=4), start, CORPUS, LABELS)
    assert rows == [8]
