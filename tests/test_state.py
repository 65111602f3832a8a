"""A run that stops anywhere goes on to the same weights, bit for bit, or says why it cannot."""

import errno
import json
import os
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
import synthetic
import torch
from test_train import dropping, read
from torch import nn

from contriever_lite import state_files
from contriever_lite.build import new_encoder, new_objective
from contriever_lite.circumstances import commit
from contriever_lite.config import TrainConfig
from contriever_lite.corpus import Corpus, build_corpus
from contriever_lite.errors import CheckpointError, ConfigError, TrainingError
from contriever_lite.optimizer import new_optimizer
from contriever_lite.settings import refuse_differences
from contriever_lite.state import RunState, fingerprint
from contriever_lite.state_files import states_in
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
MOCO = SMALL.replace(**OBJECTIVES["moco"])


class Stopped(Exception):
    pass


def train_and_stop(config, folder: Path, stop: int, **options) -> nn.Module:
    """Train with a state saved at every step, and stop where `evaluate` is called for `stop`."""

    def evaluate(encoder: nn.Module, step: int) -> dict[str, float]:
        if step == stop:
            raise Stopped
        return {"norm": sum(p.norm().item() for p in encoder.parameters())}

    paths = {"log": folder / "log.jsonl", "state": folder / "states", "save_every": 0}
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

    paths = {"log": tmp_path / "log.jsonl", "state": tmp_path / "states"}
    with pytest.raises(Stopped):
        train(SMALL, CORPUS, evaluate=evaluate, evaluate_every=1, **paths)
    assert not (tmp_path / "states").exists(), "five minutes have not passed"
    check_same(train(SMALL, CORPUS, **paths), train(SMALL, CORPUS))
    assert [line["step"] for line in read(tmp_path / "log.jsonl")] == list(range(1, 13))


def test_a_finished_run_is_only_loaded(tmp_path: Path) -> None:
    first = train_and_stop(SMALL, tmp_path, -1)
    log = (tmp_path / "log.jsonl").read_text()
    again = train_and_stop(SMALL, tmp_path, 0)
    check_same(again, first)
    assert (tmp_path / "log.jsonl").read_text() == log


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a MoCo run that stopped after step 6."""
    folder = tmp_path_factory.mktemp("stopped")
    with pytest.raises(Stopped):
        train_and_stop(MOCO, folder, 7)
    return folder


@pytest.fixture
def stopped(interrupted: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return shutil.copytree(interrupted, tmp_path / "copy")


def test_a_file_holds_all_that_a_run_is(stopped: Path) -> None:
    assert list(states_in(stopped / "states")) == [5, 6], "the last two"
    state = torch.load(stopped / "states" / "step-6.pt", weights_only=True)
    assert state["step"] == 6
    assert state["commit"] == commit()
    assert state["tokenizer"] == CORPUS.tokenizer.to_str()
    assert json.loads(state["config"]) == MOCO.to_dict()
    assert {"encoder.vectors", "slow.vectors", "queue.keys", "queue.documents"} <= set(
        state["objective"]
    )
    assert state["objective"]["_extra_state"] == 6, "updates of the slow encoder"
    filled, place, pushed = state["objective"]["queue._extra_state"].tolist()
    assert (filled, place, pushed) == (50, 6 * 32 % 50, 6)


def test_other_settings_are_refused_and_each_is_named(stopped: Path) -> None:
    config = MOCO.replace(steps=99, momentum=0.7)
    before = contents(stopped)
    with pytest.raises(ConfigError) as error:
        train_and_stop(config, stopped, -1)
    message = str(error.value)
    assert "momentum = 0.8 there, 0.7 now" in message
    assert "steps = 12 there, 99 now" in message
    assert "the same settings" in message
    assert contents(stopped) == before, "kept"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_settings_of_another_version_count_as_different() -> None:
    with pytest.raises(ConfigError, match=r"old = 1 there, None now; new = None there, 2 now"):
        refuse_differences({"old": 1, "same": 0}, {"new": 2, "same": 0}, Path("state.pt"))
    refuse_differences({"same": 0}, {"same": 0}, Path("state.pt"))


def test_another_corpus_is_refused(stopped: Path) -> None:
    texts = [document["text"] for document in synthetic.world().corpus.values()]
    other = build_corpus([("", text) for text in texts[1:] + texts[:1]], CORPUS.tokenizer)
    with pytest.raises(ConfigError, match="made from other documents or another tokenizer"):
        train(MOCO, other, state=stopped / "states")


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
def test_a_damaged_file_is_passed_over_for_the_one_before(stopped: Path, share: float) -> None:
    """Killed in a write, or cut short by a disk: the run still ends with the same weights."""
    newest = stopped / "states" / "step-6.pt"
    whole = newest.read_bytes()
    newest.write_bytes(whole[: int(share * len(whole))])
    newest.with_name("step-7.pt.part").write_bytes(whole[:100])
    with pytest.warns(UserWarning, match=r"step-6\.pt cannot be read .* Trying the state before"):
        found = train_and_stop(MOCO, stopped, -1)
    check_same(found, train(MOCO, CORPUS))
    assert [line["step"] for line in read(stopped / "log.jsonl")] == list(range(13))
    assert not list(stopped.rglob("*.part"))


def test_states_after_a_damaged_one_are_kept(stopped: Path) -> None:
    """A later file that cannot be read is none of the last `keep`."""
    run = RunState(stopped / "states", MOCO, CORPUS, every=0, keep=1)
    (stopped / "states" / "step-6.pt").write_bytes(b"damaged")
    (stopped / "states" / "step-9.pt").write_bytes(b"damaged")
    with pytest.warns(UserWarning, match="cannot be read"):
        assert run.restore(**parts(MOCO)) == 5
    run.save_if_due(6)
    run.save_if_due(7)
    assert set(run.files()) == {5, 7, 9}, "the best too"


@pytest.mark.parametrize("content", [b"nonsense", b"{}", b"\x80\x02N."])
def test_where_no_file_can_be_read_it_says_so(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "step-3.pt").write_bytes(content)
    torch.save({"step": 4}, tmp_path / "step-4.pt")
    torch.save([1, 2], tmp_path / "step-5.pt")
    with (
        pytest.warns(UserWarning, match=r"step-\d\.pt cannot be read"),
        pytest.raises(CheckpointError, match=r"no state there can be read\. Remove the folder"),
    ):
        train(SMALL, CORPUS, state=tmp_path)


def test_another_encoder_is_refused(stopped: Path) -> None:
    with pytest.raises(CheckpointError, match=r"step-6\.pt: is of another kind of encoder"):
        train(MOCO, CORPUS, encoder=dropping(), state=stopped / "states")


def parts(config: TrainConfig) -> dict:
    objective = new_objective(config, new_encoder(config, CORPUS))
    return {"objective": objective, "optimizer": new_optimizer(config, objective)}


def test_a_state_is_saved_when_it_is_due_and_old_ones_go(tmp_path: Path) -> None:
    run = RunState(tmp_path / "deep" / "states", SMALL, CORPUS, every=1e9, keep=2)
    assert run.restore(**parts(SMALL)) == 0
    run.save_if_due(1)
    assert not run.folder.exists()
    run.save_if_due(2, 0.5)
    assert set(run.files()) == {2}, "the best so far"
    run.save_if_due(3, 0.5)
    assert set(run.files()) == {2}, "no better"
    run.every = 0
    (run.folder / "step-9.pt.part").write_text("half of a file that a killed process left")
    for step, kept in ((3, {2, 3}), (4, {2, 3, 4}), (5, {2, 4, 5}), (6, {2, 5, 6})):
        run.save_if_due(step)
        assert set(run.files()) == kept
    run.save_if_due(7, 0.7)
    assert set(run.files()) == {6, 7}
    again = RunState(run.folder, SMALL, CORPUS, keep=2)
    assert again.restore(**parts(SMALL)) == 7
    assert again.best == (7, 0.7)
    assert {path.name for path in run.folder.iterdir()} == {"step-6.pt", "step-7.pt"}
    with pytest.raises(ConfigError, match="keep = 0: must be at least 1"):
        RunState(run.folder, SMALL, CORPUS, keep=0)


def test_a_scaler_goes_on_where_it_was(tmp_path: Path) -> None:
    run = RunState(tmp_path, SMALL, CORPUS)
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
    run.restore(**parts(SMALL), scaler=scaler)
    run.save(1)
    other = torch.amp.GradScaler("cpu")
    assert run.restore(**parts(SMALL), scaler=other) == 1
    assert other.state_dict() == scaler.state_dict()


def test_weights_that_are_not_finite_are_not_saved(tmp_path: Path) -> None:
    run, held = RunState(tmp_path, SMALL, CORPUS, every=0, keep=1), parts(SMALL)
    run.restore(**held)
    run.save(1)
    with torch.no_grad():
        held["objective"].encoder.vectors[0, 0] = torch.nan
    with pytest.raises(TrainingError, match=r"not finite after step 2; .* is .*step-1\.pt"):
        run.save_if_due(2)
    assert set(run.files()) == {1}


def full_disk(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = RunState(tmp_path, SMALL, CORPUS, keep=1)
    run.restore(**parts(SMALL))
    run.save(1)
    before = contents(tmp_path)
    for module, name in ((state_files.torch, "save"), (state_files.os, "fsync")):
        monkeypatch.setattr(module, name, full_disk)
        with pytest.raises(TrainingError, match=r"step-2\.pt .*No space left .*step-1\.pt"):
            run.save(2)
        monkeypatch.undo()
        assert contents(tmp_path) == before
    (tmp_path / "file").touch()
    nowhere = RunState(tmp_path / "file" / "states", SMALL, CORPUS)
    nowhere.restore(**parts(SMALL))
    with pytest.raises(TrainingError, match=r"cannot be written: .*Not a directory"):
        nowhere.save(1)


def test_without_a_folder_nothing_is_kept(tmp_path: Path) -> None:
    run = RunState(None, SMALL, CORPUS, every=0)
    assert run.restore(**parts(SMALL)) == 0
    run.save_if_due(1, 0.5)
    assert run.newest() is None
    assert list(tmp_path.iterdir()) == []


def test_a_score_of_numpys_can_be_read_back(tmp_path: Path) -> None:
    def look(*_: object) -> dict[str, float]:
        return {"score": np.float64(0.5)}

    settings = {"evaluate": look, "evaluate_every": 4, "state": tmp_path / "states"}
    first = train(SMALL, CORPUS, **settings)
    again = train(SMALL, CORPUS, **settings)
    torch.testing.assert_close(again.state_dict(), first.state_dict(), rtol=0, atol=0)


def test_a_state_of_bf16_goes_on_in_fp16(tmp_path: Path) -> None:
    weights = nn.Linear(2, 2)
    run = RunState(tmp_path, SMALL, CORPUS)
    run.restore(objective=weights)
    run.save(3)
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
    assert RunState(tmp_path, SMALL, CORPUS).restore(objective=weights, scaler=scaler) == 3
    assert scaler.get_scale() == 8.0


def test_a_state_is_all_on_the_disk_before_it_gets_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, sizes = tmp_path / "step-1.pt", []

    def look(file: int) -> None:
        assert not path.exists()
        sizes.append(os.fstat(file).st_size)

    monkeypatch.setattr(state_files.os, "fsync", look)
    state_files.write_state(path, {"weights": torch.ones(3)})
    assert sizes == [path.stat().st_size]
    assert list(tmp_path.iterdir()) == [path]


class Harm:
    """What makes a folder where it is unpickled."""

    def __init__(self, place: Path) -> None:
        self.place = str(place)

    def __reduce__(self) -> tuple:
        return os.mkdir, (self.place,)


def test_a_file_that_would_run_code_is_refused(tmp_path: Path) -> None:
    torch.save({"config": Harm(tmp_path / "harm")}, tmp_path / "step-1.pt")
    with pytest.raises(CheckpointError, match="cannot be read as a run's state"):
        state_files.read_state(tmp_path / "step-1.pt")
    assert not (tmp_path / "harm").exists()


def test_seconds_count_from_the_last_save(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    run = RunState(tmp_path, SMALL, CORPUS, every=10, keep=9)
    run.restore(**parts(SMALL))
    for step in range(1, 31):
        clock[0] += 1
        run.save_if_due(step)
    assert list(run.files()) == [10, 20, 30]


@pytest.mark.parametrize("place", [(1 << 20) - 1, 1 << 20, (1 << 20) + 1])
def test_the_fingerprint_sees_every_token_of_a_large_corpus(place: int) -> None:
    tokens = np.zeros((1 << 20) + 2, np.uint16)
    ends, titles = np.array([0, len(tokens)]), np.zeros(1, np.int32)
    before = fingerprint(Corpus(tokens, ends, titles, CORPUS.tokenizer))
    tokens[place] = 1
    assert fingerprint(Corpus(tokens, ends, titles, CORPUS.tokenizer)) != before
