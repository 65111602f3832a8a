"""Curves of a run: every number of its log, and its states scored over time."""

import builtins
import json
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import synthetic
import tiny

from contriever_lite import cli
from contriever_lite.beir_writer import write_beir
from contriever_lite.curves import draw, over_time, read_log, retriever_of
from contriever_lite.errors import CheckpointError, ConfigError, DataError
from contriever_lite.evaluate import evaluate_model
from contriever_lite.journal import Journal
from contriever_lite.runs import train_run

BAG = synthetic.SMALL.replace(steps=12, once=True, stop_words="english")
SHIPPED = tiny.MOCO.replace(steps=3, ship_slow=True, micro_batch=8)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a collection and the run of a bag that kept all of its states."""
    folder = tmp_path_factory.mktemp("curves")
    write_beir(synthetic.world(), folder / "world")
    train_run(BAG, folder / "world", folder / "run", save_every=0, keep=3)
    return folder


def test_the_log_becomes_series(place: Path, tmp_path: Path) -> None:
    series = read_log(place / "run")
    steps, losses = series["loss"]
    assert steps == list(range(1, 13))
    assert losses[-1] < losses[0]
    assert series["accuracy"][0] == [1, 11]
    assert set(series) == {
        "accuracy", "deviation", "learning_rate", "loss", "mean_rank", "pairs_per_second",
    }  # fmt: skip
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "se')
    with pytest.raises(DataError, match="is empty: the run has not done a step yet"):
        read_log(tmp_path)
    with pytest.raises(DataError, match=r"has no metrics\.jsonl; give the folder of a run"):
        read_log(tmp_path / "nowhere")


def test_states_are_scored_over_time(place: Path, capsys: pytest.CaptureFixture) -> None:
    run, world = place / "run", str(place / "world")
    before = {path.name for path in run.iterdir()}
    assert cli.main(["report", str(run)]) == 0
    assert capsys.readouterr().out.strip() == str(run / "curves.svg")
    plain = (run / "curves.svg").read_text()
    scores = over_time(run, world)
    assert list(scores) == [10, 11, 12]
    final = evaluate_model(str(run), synthetic.world()).scores["ndcg@10"].mean
    assert scores[12]["ndcg@10"]["mean"] == pytest.approx(final)
    state = retriever_of(run / "states" / "step-12.pt")
    texts = synthetic.world().texts()[:5]
    np.testing.assert_array_equal(state.encode(texts), type(state).load(run).encode(texts))
    assert cli.main(["report", str(run), "--data", world]) == 0
    assert capsys.readouterr().out.count("nDCG@10") == 3
    drawn = (run / "curves.svg").read_text()
    assert len(drawn) > len(plain), "three more curves"
    assert {path.name for path in run.iterdir()} - before == {
        "curves.svg", "evaluation-world.json",
    }  # fmt: skip


def test_a_transformers_slow_copy_comes_back_from_its_state(tmp_path: Path) -> None:
    corpus = synthetic.corpus().save(tmp_path / "corpus")
    retriever = train_run(SHIPPED, corpus, tmp_path / "run", save_every=0)
    found = retriever_of(tmp_path / "run" / "states" / "step-3.pt")
    texts = synthetic.world().texts()[:5]
    texts += ["bada [MASK] dofa [SEP]"]
    np.testing.assert_array_equal(found.encode(texts), retriever.encode(texts))


def test_what_cannot_be_scored_or_drawn(place: Path, tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "seconds": 0, "loss": 1}\n')
    assert draw(tmp_path).stat().st_size > 1000
    with pytest.raises(CheckpointError, match="has kept no state yet"):
        over_time(tmp_path, str(place / "world"))
    with pytest.raises(ConfigError, match="report --data needs the folder of a training"):
        cli.main(["report", "--data", "world", "--debug"])


def test_a_part_of_a_collection_is_scored_too(place: Path, tmp_path: Path) -> None:
    """A name may have a slash, as cqadupstack/android has; a file's may not."""
    shutil.copytree(place / "run", tmp_path / "run")
    world = replace(synthetic.world(), name="worlds/one")
    with mock.patch("contriever_lite.curves.load_collection", return_value=world):
        over_time(tmp_path / "run", "worlds/one")
    assert (tmp_path / "run" / "evaluation-worlds-one.json").is_file()
    assert draw(tmp_path / "run").stat().st_size > 1000


def test_a_run_of_no_step_is_scored(place: Path, tmp_path: Path) -> None:
    untrained = BAG.replace(steps=0)
    train_run(untrained, place / "world", tmp_path / "run", judge=synthetic.world())
    assert list(over_time(tmp_path / "run", str(place / "world"))) == [0]


@pytest.mark.parametrize("content", ['{"1', "[]", '{"last": {}}', '{"1": {"ndcg@10": 0.5}}'])
def test_scores_that_cannot_be_read_are_left(place: Path, tmp_path: Path, content: str) -> None:
    shutil.copytree(place / "run", tmp_path / "run")
    file = tmp_path / "run" / "evaluation-world.json"
    file.write_text(content)
    for work in (draw, partial(over_time, data=str(place / "world"))):
        with pytest.raises(DataError, match=r"evaluation-world\.json is not what .* move it away"):
            work(tmp_path / "run")
    assert file.read_text() == content


def test_tensorboard_gets_the_same_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with Journal(tmp_path / "log", last=3, tensorboard=tmp_path / "board", pairs=8) as journal:
        for step in range(1, 4):
            journal.write(step, loss=1 / step)
    events = EventAccumulator(str(tmp_path / "board")).Reload()
    assert set(events.Tags()["scalars"]) == {"loss", "seconds", "pairs_per_second"}
    assert [(e.step, e.value) for e in events.Scalars("loss")] == [
        (1, 1.0), (2, 0.5), (3, pytest.approx(1 / 3)),
    ]  # fmt: skip
    real = builtins.__import__

    def absent(name: str, *more: object) -> object:
        if name.startswith("torch.utils.tensorboard"):
            raise ImportError(name)
        return real(name, *more)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(ConfigError, match="pip install tensorboard"):
        Journal(None, tensorboard=tmp_path / "other").__enter__()


def test_the_bar_says_loss_accuracy_and_pairs() -> None:
    with Journal(None, last=9, bar=True, pairs=8) as journal:
        assert journal.bar.total == 9
        for step, numbers in ((1, {"accuracy": 0.25}), (2, {})):
            journal.write(step, loss=0.5, **numbers)
            assert "loss=0.5" in journal.bar.postfix
            assert "accuracy=0.25" in journal.bar.postfix, "the last that was measured"
            assert "pairs/s=" in journal.bar.postfix


def test_a_log_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    class Full:
        def write(self, text: str) -> None:
            raise OSError(28, "No space left on device")

        def close(self) -> None:
            pass

    with Journal(tmp_path / "log") as journal:
        journal.file.close()
        journal.file = Full()
        with pytest.raises(Exception, match=r"log cannot be written: No space .* --resume"):
            journal.write(1, loss=0.0)


def test_the_log_counts_pairs(tmp_path: Path) -> None:
    with Journal(tmp_path / "log", pairs=16) as journal:
        journal.write(1, loss=0.0)
    assert json.loads((tmp_path / "log").read_text())["pairs_per_second"] > 0
