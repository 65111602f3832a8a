"""A signal ends the step, writes the state and says how to go on; then the bits are the same."""

import os
import signal
from pathlib import Path

import pytest
import synthetic
import tiny
import torch
from torch import nn

from contriever_lite import cli, presets
from contriever_lite.beir_writer import write_beir
from contriever_lite.config import TrainConfig
from contriever_lite.stop import Signals, Stopped
from contriever_lite.train import train

CORPUS = synthetic.corpus()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize(
    "config", [synthetic.SMALL.replace(steps=8), tiny.MOCO], ids=["bag", "tiny"]
)
def test_a_stopped_run_ends_with_the_same_weights(
    config: TrainConfig, number: int, tmp_path: Path
) -> None:
    before = signal.getsignal(number)

    def evaluate(encoder: nn.Module, step: int) -> dict[str, float]:
        os.kill(os.getpid(), number) if step == 4 else None
        return {}

    with pytest.raises(Stopped, match=r"stopped after step 5, .*step-5\.pt\. .* --resume") as error:
        train(config, CORPUS, evaluate=evaluate, evaluate_every=4, state=tmp_path / "states")
    assert error.value.status == 128 + number
    assert signal.getsignal(number) == before
    found = train(config, CORPUS, state=tmp_path / "states").state_dict()
    expected = train(config, CORPUS).state_dict()
    assert all(torch.equal(tensor, found[name]) for name, tensor in expected.items())


def test_without_a_place_to_save_signals_are_what_they_were() -> None:
    with pytest.raises(KeyboardInterrupt), Signals(None):
        os.kill(os.getpid(), signal.SIGINT)


def test_a_second_ctrl_c_does_not_wait() -> None:
    with Signals(Path(), alone=True) as signals:
        os.kill(os.getpid(), signal.SIGINT)
        assert signals.number == signal.SIGINT
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    with Signals(Path(), alone=False) as signals:
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGINT)


def test_the_command_ends_with_the_signals_status(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    write_beir(synthetic.world(), tmp_path / "world")
    monkeypatch.setitem(presets.PRESETS, "quick", synthetic.SMALL.replace(steps=50))
    words = ["train", "--preset", "quick", "--data", str(tmp_path / "world"), "--out"]
    noted = Signals.__enter__

    def enter(self: Signals) -> Signals:
        noted(self)
        os.kill(os.getpid(), signal.SIGTERM)
        return self

    with monkeypatch.context() as patch:
        patch.setattr(Signals, "__enter__", enter)
        assert cli.main([*words, str(tmp_path / "run")]) == 143
    said = capsys.readouterr().err
    assert "stopped after step 1, as asked" in said
    assert "Traceback" not in said
    assert not (tmp_path / "run" / "model").exists()
    assert cli.main([*words, str(tmp_path / "run"), "--resume"]) == 0
    assert (tmp_path / "run" / "model").is_dir()
