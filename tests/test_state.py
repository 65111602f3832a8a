"""A run that stops anywhere goes on to the same weights, bit for bit, or says why it cannot."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import synthetic
import torch
from test_train import dropping, read
from torch import nn

from contriever_lite.build import new_encoder, new_objective
from contriever_lite.corpus import build_corpus
from contriever_lite.errors import CheckpointError, ConfigError
from contriever_lite.state import RunState, fingerprint, refuse_differences
from contriever_lite.table_adam import TableAdam
from contriever_lite.train import train

SMALL = synthetic.SMALL.replace(steps=12)
CORPUS = synthetic.corpus()
OBJECTIVES = {
    "in-batch": {},
    "in-batch, learnt temperature": {"learn_temperature": True},
    "moco": {
        "objective": "moco", "queue_size": 50, "momentum": 0.8, "momentum_schedule": "cosine",
    },
    "queue, cached": {
        "objective": "queue", "queue_size": 50, "batch_negatives": True, "key_gradient": True,
        "micro_batch": 9,
    },
}  # fmt: skip


class Stopped(Exception):
    pass


def train_and_stop(config, folder: Path, stop: int, **options) -> nn.Module:
    """Train with a state saved at every step, and stop where `evaluate` is called for `stop`."""

    def evaluate(encoder: nn.Module, step: int) -> dict[str, float]:
        if step == stop:
            raise Stopped
        return {"norm": sum(p.norm().item() for p in encoder.parameters())}

    paths = {"log": folder / "log.jsonl", "state": folder / "state.pt", "save_every": 0}
    return train(config, CORPUS, evaluate=evaluate, evaluate_every=1, **paths, **options)


def check_same(found: nn.Module, expected: nn.Module) -> None:
    assert found.state_dict().keys() == expected.state_dict().keys()
    for name, tensor in expected.state_dict().items():
        assert torch.equal(found.state_dict()[name], tensor)


@pytest.mark.parametrize("make", [lambda: None, dropping], ids=["bag", "dropout"])
@pytest.mark.parametrize("settings", OBJECTIVES.values(), ids=OBJECTIVES)
def test_a_stopped_run_ends_as_if_it_had_not_stopped(settings, make, tmp_path: Path) -> None:
    config = SMALL.replace(**settings)
    expected = train(config, CORPUS, encoder=make())
    stops = np.random.default_rng(len(settings)).integers(1, 13, 2).tolist()
    for stop in sorted(stops):
        with pytest.raises(Stopped):
            train_and_stop(config, tmp_path, stop, encoder=make())
    check_same(train_and_stop(config, tmp_path, -1, encoder=make()), expected)
    lines = read(tmp_path / "log.jsonl")
    assert [line["step"] for line in lines] == list(range(13)), "each step once"
    assert all("norm" in line for line in lines)
    seconds = [line["seconds"] for line in lines]
    assert seconds == sorted(seconds)


def test_a_run_stopped_before_its_first_save_starts_again(tmp_path: Path) -> None:
    def evaluate(encoder: nn.Module, step: int) -> dict[str, float]:
        if step == 5:
            raise Stopped
        return {}

    paths = {"log": tmp_path / "log.jsonl", "state": tmp_path / "state.pt"}
    with pytest.raises(Stopped):
        train(SMALL, CORPUS, evaluate=evaluate, evaluate_every=1, **paths)
    assert not (tmp_path / "state.pt").exists(), "no minute has passed"
    check_same(train(SMALL, CORPUS, **paths), train(SMALL, CORPUS))
    assert [line["step"] for line in read(tmp_path / "log.jsonl")] == list(range(1, 13))


def test_a_finished_run_is_only_loaded(tmp_path: Path) -> None:
    first = train_and_stop(SMALL, tmp_path, -1)
    log = (tmp_path / "log.jsonl").read_text()
    again = train_and_stop(SMALL, tmp_path, 0)
    check_same(again, first)
    assert (tmp_path / "log.jsonl").read_text() == log


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The state file of a MoCo run that stopped at step 6."""
    folder = tmp_path_factory.mktemp("stopped")
    with pytest.raises(Stopped):
        train_and_stop(SMALL.replace(**OBJECTIVES["moco"]), folder, 7)
    return (folder / "state.pt").read_bytes()


def test_the_file_holds_all_that_a_run_is(stopped: bytes, tmp_path: Path) -> None:
    (tmp_path / "state.pt").write_bytes(stopped)
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    assert state["step"] == 6
    assert json.loads(state["config"]) == SMALL.replace(**OBJECTIVES["moco"]).to_dict()
    assert {"encoder.vectors", "slow.vectors", "queue.keys", "queue.documents"} <= set(
        state["objective"]
    )
    assert state["objective"]["_extra_state"] == 6, "updates of the slow encoder"
    filled, place, pushed = state["objective"]["queue._extra_state"].tolist()
    assert (filled, place, pushed) == (50, 6 * 32 % 50, 6)


def test_other_settings_are_refused_and_each_is_named(stopped: bytes, tmp_path: Path) -> None:
    (tmp_path / "state.pt").write_bytes(stopped)
    config = SMALL.replace(**OBJECTIVES["moco"]).replace(steps=99, momentum=0.7)
    with pytest.raises(ConfigError) as error:
        train_and_stop(config, tmp_path, -1)
    message = str(error.value)
    assert "steps = 12 there, 99 now; momentum = 0.8 there, 0.7 now" in message.replace(
        "momentum = 0.8 there, 0.7 now; steps = 12 there, 99 now",
        "steps = 12 there, 99 now; momentum = 0.8 there, 0.7 now",
    )
    assert "the same settings" in message
    assert (tmp_path / "state.pt").read_bytes() == stopped, "kept"


def test_settings_of_another_version_count_as_different() -> None:
    with pytest.raises(ConfigError, match=r"old = 1 there, None now; new = None there, 2 now"):
        refuse_differences({"old": 1, "same": 0}, {"new": 2, "same": 0}, Path("state.pt"))
    refuse_differences({"same": 0}, {"same": 0}, Path("state.pt"))


def test_another_corpus_is_refused(stopped: bytes, tmp_path: Path) -> None:
    (tmp_path / "state.pt").write_bytes(stopped)
    texts = [document["text"] for document in synthetic.world().corpus.values()]
    other = build_corpus([("", text) for text in texts[1:] + texts[:1]], CORPUS.tokenizer)
    config = SMALL.replace(**OBJECTIVES["moco"])
    with pytest.raises(ConfigError, match="made from other documents or another tokenizer"):
        train(config, other, state=tmp_path / "state.pt")


def test_the_fingerprint_sees_tokens_borders_and_titles() -> None:
    tokenizer = CORPUS.tokenizer
    kinds = [
        [("", "bome dafu"), ("", "gilo")],
        [("", "bome dafu"), ("", "gilo")],
        [("", "bome"), ("", "dafu gilo")],
        [("bome", "dafu"), ("", "gilo")],
        [("", "bome dafu"), ("", "gila")],
    ]
    prints = [fingerprint(build_corpus(documents, tokenizer)) for documents in kinds]
    assert prints[0] == prints[1]
    assert len(set(prints)) == 4


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.9, 0.999])
def test_a_file_that_is_cut_short_is_named(stopped: bytes, share: float, tmp_path: Path) -> None:
    path = tmp_path / "state.pt"
    path.write_bytes(stopped[: int(share * len(stopped))])
    pattern = rf"{re.escape(str(path))}: cannot be read as this run's state: .*Remove the file"
    with pytest.raises(CheckpointError, match=pattern):
        train(SMALL.replace(**OBJECTIVES["moco"]), CORPUS, state=path)


@pytest.mark.parametrize("content", [b"nonsense", b"{}", b"\x80\x02N."])
def test_a_file_of_another_kind_is_named(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "state.pt").write_bytes(content)
    with pytest.raises(CheckpointError, match="cannot be read as this run's state"):
        train(SMALL, CORPUS, state=tmp_path / "state.pt")


def test_a_saved_file_that_is_no_state_is_named(tmp_path: Path) -> None:
    for number, value in enumerate(({"step": 3}, [1, 2], None)):
        torch.save(value, tmp_path / f"{number}.pt")
        with pytest.raises(CheckpointError, match="cannot be read as this run's state"):
            train(SMALL, CORPUS, state=tmp_path / f"{number}.pt")


def test_another_encoder_is_refused(stopped: bytes, tmp_path: Path) -> None:
    (tmp_path / "state.pt").write_bytes(stopped)
    config = SMALL.replace(**OBJECTIVES["moco"])
    with pytest.raises(CheckpointError, match="cannot be read as this run's state"):
        train(config, CORPUS, encoder=dropping(), state=tmp_path / "state.pt")


def test_a_state_is_saved_when_it_is_due_and_replaced_whole(tmp_path: Path) -> None:
    objective = new_objective(SMALL, new_encoder(SMALL, CORPUS))
    optimizer = TableAdam(objective.parameters())
    run = RunState(tmp_path / "deep" / "state.pt", SMALL, CORPUS, every=1e9)
    run.save_if_due(1, objective, optimizer)
    assert not run.path.exists()
    run.every = 0
    run.path.parent.mkdir()
    run.path.with_name("state.pt.part").write_text("half of a file that a killed process left")
    for step in (2, 3):
        run.save_if_due(step, objective, optimizer)
        assert run.restore(objective, optimizer) == step
    assert [path.name for path in run.path.parent.iterdir()] == ["state.pt"]


def test_without_a_path_nothing_is_kept(tmp_path: Path) -> None:
    run = RunState(None, SMALL, CORPUS, every=0)
    objective = new_objective(SMALL, new_encoder(SMALL, CORPUS))
    run.save_if_due(1, objective, TableAdam(objective.parameters()))
    assert run.restore(objective, TableAdam(objective.parameters())) == 0
    assert list(tmp_path.iterdir()) == []
