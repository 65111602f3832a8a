"""Fine-tuning as a run: what the folder holds, what is refused, and nothing half written."""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import synthetic
import tiny

from contriever_lite.beir_writer import write_beir
from contriever_lite.build import new_encoder
from contriever_lite.card import describe_model
from contriever_lite.cli import main
from contriever_lite.errors import ConfigError, DataError, TrainingError
from contriever_lite.evaluate import evaluate_model
from contriever_lite.finetune_run import finetune_run, settings_for
from contriever_lite.retriever import Retriever
from contriever_lite.runs import read_config

WORLD, CORPUS = synthetic.world(), synthetic.corpus()
SETTINGS = ["batch_size=16", "steps=20", "learning_rate=0.03", "temperature=0.2"]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder to run in, with a collection and two models in it."""
    monkeypatch.chdir(tmp_path)
    write_beir(WORLD, tmp_path / "world")
    some = {q: dict(list(judged.items())[:4]) for q, judged in WORLD.qrels.items()}
    write_beir(dataclasses.replace(WORLD, qrels=some), tmp_path / "few-judged")
    for name, config in (("bag", synthetic.SMALL), ("transformer", tiny.TINY)):
        Retriever(new_encoder(config, CORPUS), CORPUS.tokenizer).save(tmp_path / name)
    return tmp_path


def teach(model: str = "bag", out: str = "run", data: str = "world", **changes: object) -> dict:
    """A run's record; the world's only judgements serve as labels."""
    options = {"split": "test", "share": 0.25, "settings": SETTINGS, **changes}
    finetune_run(model, data, out, **options)
    return json.loads(Path(out, "run.json").read_text())


def test_a_run_holds_the_best_state_and_its_record() -> None:
    record = teach()
    assert (record["labels"], record["held_out"], record["seen"]) == (15, 5, 5)
    assert (record["source"], record["model"]) == ("world", "bag")
    assert list(record["scores"]) == ["0", "10", "20"]
    assert record["scores"][str(record["steps"])] == max(record["scores"].values())
    config = read_config("run")
    assert (config.start, config.dimension, config.steps) == ("bag", 32, 20)
    before, after = (evaluate_model(name, WORLD, Retriever.load(name)) for name in ("bag", "run"))
    assert after.scores["ndcg@10"].mean > before.scores["ndcg@10"].mean + 0.1
    assert describe_model("run")["data"] == "world"


def test_it_repeats_itself_and_mined_negatives_count() -> None:
    few = [*SETTINGS, "steps=8"]
    options = ({}, {}, {"negatives": "bm25"}, {"negatives": "own"}, {"settings": [*few, "seed=1"]})
    for number, changes in enumerate(options):
        teach(out=str(number), data="few-judged", **{"settings": few, "every": 8, **changes})
    vectors = [Retriever.load(str(n)).encode(WORLD.texts()[:20]) for n in range(len(options))]
    np.testing.assert_array_equal(vectors[0], vectors[1])
    for n in (2, 3, 4):
        assert not np.array_equal(vectors[0], vectors[n])


def test_a_transformer_is_taught_too() -> None:
    record = teach("transformer", settings=["steps=4", "batch_size=8", "learning_rate=0.01"])
    assert record["config"]["encoder"] == "transformer"
    assert read_config("run").normalise == tiny.TINY.normalise
    before, after = (Retriever.load(name).encode(["bado"]) for name in ("transformer", "run"))
    assert (record["steps"] == 0) == np.array_equal(before, after)


def test_what_is_refused_leaves_nothing(here: Path) -> None:
    with pytest.raises(ConfigError, match="finetune has no setting 'dimension'"):
        teach(settings=["dimension=8"])
    with pytest.raises(ConfigError, match="there is no such folder"):
        teach("nothing")
    with pytest.raises(ConfigError, match="holds out 0"):
        teach(share=0.01)
    with pytest.raises(ConfigError, match="no split 'train' in world: it has test"):
        teach(split="train")
    with pytest.raises(TrainingError, match="lower learning_rate"):
        teach(settings=[*SETTINGS, "learning_rate=1e38", "warmup=0"])
    assert not [path for path in here.iterdir() if "run" in path.name]
    Path("run").mkdir()
    with pytest.raises(DataError, match="run exists already"):
        teach()


def test_a_bag_and_a_transformer_begin_with_settings_of_their_own() -> None:
    bag, transformer = (
        settings_for(Retriever.load(name).encoder, name, ["steps=5"])
        for name in ("bag", "transformer")
    )
    assert (bag.encoder, transformer.encoder) == ("bag", "transformer")
    assert bag.learning_rate > 100 * transformer.learning_rate
    assert bag.steps == transformer.steps == 5


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["finetune", "--model", "bag", "--data", "world", "--out", "run", "--split", "test"]
    words += ["--hold-out", "0.25", "--every", "5", "--seed", "2", "--set", *SETTINGS]
    assert main(words) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first == (
        "run: 15 labels; 5 more were held out, of which 5 have an answer that a label names"
    )
    record = json.loads(Path("run/run.json").read_text())
    before, kept = record["scores"]["0"], record["scores"][str(record["steps"])]
    assert second == (
        f"nDCG@10 on those held out: {before:.3f} before, {kept:.3f} kept, "
        f"after {record['steps']} of 20 steps"
    )
    assert read_config("run").seed == 2
    assert main(words) == 1
    assert "run exists already" in capsys.readouterr().err
