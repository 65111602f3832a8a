"""The log: a line a step, evaluations when due, and no step twice in a run that goes on."""

import json
import time
from pathlib import Path

import pytest

from contriever_lite.journal import Journal


def steps(path: Path) -> list[int]:
    return [json.loads(line)["step"] for line in path.read_text().splitlines()]


def write(path: Path, *numbers: int, tail: str = "") -> None:
    lines = [json.dumps({"step": step, "seconds": float(step), "loss": 1.0}) for step in numbers]
    path.write_text("".join(f"{line}\n" for line in lines) + tail)


def test_each_line_is_on_disk_at_once(tmp_path: Path) -> None:
    with Journal(tmp_path / "log") as journal:
        for step in (1, 2):
            journal.write(step, loss=step / 2)
            assert steps(tmp_path / "log")[-1] == step
    line = json.loads((tmp_path / "log").read_text().splitlines()[1])
    assert line == {"step": 2, "seconds": line["seconds"], "loss": 1.0}


def test_evaluations_join_where_they_are_due(tmp_path: Path) -> None:
    with Journal(tmp_path / "log", lambda step: {"score": step * 10}, every=2, last=5) as journal:
        for step in range(1, 6):
            journal.write(step, loss=0.0)
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert {line["step"]: line.get("score") for line in lines} == {
        0: 0, 1: None, 2: 20, 3: None, 4: 40, 5: 50,
    }  # fmt: skip
    assert "loss" not in lines[0]


def test_without_a_path_it_only_evaluates(tmp_path: Path) -> None:
    seen = []
    with Journal(None, lambda step: seen.append(step) or {}, last=1) as journal:
        journal.cut(0)
        journal.write(1, loss=0.0)
    assert seen == [0, 1]
    assert journal.board is None, "nor for TensorBoard"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("done", "kept"), [(0, []), (1, [0, 1]), (3, [0, 1, 2, 3]), (9, [*range(6)])]
)
def test_lines_that_will_come_again_are_cut(tmp_path: Path, done: int, kept: list[int]) -> None:
    write(tmp_path / "log", *range(6), tail='{"step": 6, "sec')
    journal = Journal(tmp_path / "log", lambda step: {"score": 1.0})
    journal.cut(done)
    assert steps(tmp_path / "log") == kept
    with journal:
        journal.write(done + 1, loss=2.0)
    begun = kept if done else [0]
    assert steps(tmp_path / "log") == [*begun, done + 1], "step 0 is evaluated once"
    last = json.loads((tmp_path / "log").read_text().splitlines()[-1])
    assert last["seconds"] >= (kept[-1] if kept else 0), "time goes on"


def test_a_log_that_is_no_log_is_not_kept_as_one(tmp_path: Path) -> None:
    (tmp_path / "log").write_text('[]\n{"loss": 1}\nnonsense\n{"step": 1, "seconds": 0.5}\n')
    Journal(tmp_path / "log").cut(3)
    assert steps(tmp_path / "log") == [1]


def test_nothing_is_cut_unless_asked(tmp_path: Path) -> None:
    write(tmp_path / "log", 0, 1, 2)
    with Journal(tmp_path / "log") as journal:
        journal.write(1, loss=0.0)
    assert steps(tmp_path / "log") == [0, 1, 2, 1]


def test_speed_is_of_the_step_alone_and_seconds_of_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [5.0]

    def look(step: int) -> dict[str, float]:
        clock[0] += 100
        return {}

    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])
    with Journal(str(tmp_path / "log"), look, every=1, pairs=8) as journal:
        for step in (1, 2):
            clock[0] += 2
            journal.write(step)
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert [line["pairs_per_second"] for line in lines] == [4, 4]
    assert [line["seconds"] for line in lines] == [102, 204]
