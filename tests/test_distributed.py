"""Two processes compute what one computes with the whole batch: gradients, queues, whole runs."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import two_processes
from two_processes import OBJECTIVES, SMALL, TRAININGS

from contriever_lite.distributed import gather, others, rank, world

TESTS = Path(__file__).resolve().parent


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> dict:
    return two_processes.everything(tmp_path_factory.mktemp("one"))


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> list[dict]:
    """What each of two processes found."""
    out = tmp_path_factory.mktemp("two")
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": str(port)}
    running = []
    for number in ("0", "1"):
        own = {"RANK": number, "LOCAL_RANK": number, "PYTHONPATH": str(TESTS.parent)}
        command = [sys.executable, "-W", "ignore", "two_processes.py", str(out)]
        running.append(
            subprocess.Popen(
                command, cwd=TESTS, env={**os.environ, **shared, **own}, stderr=subprocess.PIPE
            )
        )
    try:
        errors = [process.communicate(timeout=300)[1].decode() for process in running]
    finally:
        for process in running:
            process.kill()
    assert [process.returncode for process in running] == [0, 0], "\n".join(errors)
    return [torch.load(out / f"{number}.pt") for number in range(2)]


def test_one_process_is_alone() -> None:
    x = torch.randn(3, 2)
    assert (world(), rank()) == (1, 0)
    assert gather(x) is x
    assert gather(x, views=3) is x
    assert others(x).shape == (0, 2)


def test_gathered_rows_stand_in_the_order_of_one_process(one: dict, two: list[dict]) -> None:
    """View after view, and in each view document after document."""
    for number in range(2):
        found = two[number]["gather"]
        assert torch.equal(found["everything"], one["gather"]["everything"])
        theirs = [3, 4, 5, 9, 10, 11] if number == 0 else [0, 1, 2, 6, 7, 8]
        assert found["rest"].flatten().tolist() == theirs


def test_a_gathered_rows_gradient_is_summed_over_the_processes(two: list[dict]) -> None:
    """Its number from each of the two losses, and 100 from the other process's `others`."""
    for number in range(2):
        own = [0, 1, 2, 6, 7, 8] if number == 0 else [3, 4, 5, 9, 10, 11]
        assert two[number]["gather"]["gradient"].flatten().tolist() == [2 * i + 100 for i in own]


@pytest.mark.parametrize("name", OBJECTIVES)
def test_the_gradient_is_that_of_the_whole_batch(name: str, one: dict, two: list[dict]) -> None:
    expected = one["objectives"][name]
    for process in two:
        found = process["objectives"][name]
        for part in ("losses", "measures", "gradients"):
            torch.testing.assert_close(found[part], expected[part], rtol=1e-4, atol=1e-6)
    assert any(gradient.abs().sum() > 0 for gradient in expected["gradients"][-1].values())


@pytest.mark.parametrize("name", OBJECTIVES)
def test_weights_queue_and_slow_encoder_are_alike_everywhere(
    name: str, one: dict, two: list[dict]
) -> None:
    """Bit for bit between the processes, and up to rounding as on one."""
    first, second = (process["objectives"][name]["state"] for process in two)
    expected = one["objectives"][name]["state"]
    assert first.keys() == second.keys() == expected.keys()
    for key, tensor in first.items():
        assert torch.equal(tensor, second[key])
        torch.testing.assert_close(tensor, expected[key], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", TRAININGS)
def test_a_training_of_two_processes_is_that_of_one(name: str, one: dict, two: list[dict]) -> None:
    expected = one["trainings"][name]
    for process in two:
        found = process["trainings"][name]["weights"]
        torch.testing.assert_close(found, expected["weights"], rtol=1e-3, atol=1e-4)
    lines = two[0]["trainings"][name]["log"]
    assert [line["step"] for line in lines] == list(range(SMALL.steps + 1))
    for line, other in zip(lines, expected["log"], strict=True):
        for timed in ("seconds", "pairs_per_second"):
            line.pop(timed, None), other.pop(timed, None)
        assert line == pytest.approx(other, rel=1e-3)
    looked = [process["trainings"][name]["looked"] for process in two]
    assert looked == [[0, 4, 8], []], "the first process evaluates"
