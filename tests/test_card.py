"""Results cards: what was recorded, and nothing else."""

import json
from pathlib import Path

import pytest
import synthetic
import tiny

from contriever_lite.build import new_encoder
from contriever_lite.card import describe_model, write_card
from contriever_lite.errors import CheckpointError, ConfigError, DataError
from contriever_lite.evaluate import evaluate_model
from contriever_lite.files import write_json
from contriever_lite.retriever import Retriever


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The folder of a run, with its record."""
    corpus = synthetic.corpus()
    retriever = Retriever(new_encoder(synthetic.SMALL, corpus), corpus.tokenizer)
    retriever.save(tmp_path / "mine" / "model")
    record = {"source": ["a.jsonl", "b.jsonl"], "config": synthetic.SMALL.to_dict(),
              "commit": "abc", "device": "a chip", "date": "2026-01-02", "versions": {"x": "1"},
              "seconds": {"training": 12.3}}  # fmt: skip
    write_json(record, tmp_path / "mine" / "run.json")
    write_json(evaluate_model("mine", synthetic.world(), retriever).to_dict(), tmp_path / "s.json")
    return tmp_path / "mine"


def test_a_card_says_what_the_run_recorded(run: Path, tmp_path: Path) -> None:
    readme, card = write_card(run, run, [tmp_path / "s.json"], "CC BY 4.0")
    assert (readme, card) == (run / "README.md", run / "card.json")
    found, text = json.loads(card.read_text()), readme.read_text()
    assert found == json.loads(json.dumps(describe_model(run, [tmp_path / "s.json"], "CC BY 4.0")))
    assert found["data"] == ["a.jsonl", "b.jsonl"]
    assert found["recipe"]["steps"] == synthetic.SMALL.steps
    assert "window" in found["recipe"], "a setting that differs from its default"
    assert "momentum" not in found["recipe"], "one that does not"
    assert found["scores"][0]["data"] == "world"
    score = found["scores"][0]["scores"]["ndcg@10"]["mean"]
    for words in ("# mine: a dense retriever", "compared by cosine", "a.jsonl, b.jsonl",
                  "12 seconds; commit abc, device a chip", "| steps | 40 |", f"| {score:.3f} [",
                  "## Use and limits", "not their order", "CC BY 4.0."):  # fmt: skip
        assert words in text, words


def test_what_was_not_recorded_is_not_claimed(tmp_path: Path) -> None:
    config = tiny.TINY.replace(specials=True)
    corpus = synthetic.corpus()
    folder = tmp_path / "small"
    Retriever(new_encoder(config, corpus), corpus.tokenizer).save(folder)
    text = write_card(folder, tmp_path / "out")[0].read_text()
    for words in ("bert transformer", "the first 512 tokens", "by dot product",
                  "Trained on: not recorded.", "No score was recorded", "Not stated"):  # fmt: skip
        assert words in text, words
    assert "| setting |" not in text
    assert "not their order" not in text


def test_a_vocabulary_that_came_from_elsewhere_is_not_told_by_its_setting(run: Path) -> None:
    record = json.loads((run / "run.json").read_text())
    pieces = describe_model(run)["word_pieces"]
    for vocab_size, told in ((pieces, {"vocab_size": pieces}), (pieces + 1, {})):
        record["config"]["vocab_size"] = vocab_size
        (run / "run.json").write_text(json.dumps(record))
        recipe = describe_model(run)["recipe"]
        assert {name: recipe[name] for name in recipe if name == "vocab_size"} == told


def test_no_card_is_written_over_another(run: Path) -> None:
    write_card(run, run)
    with pytest.raises(DataError, match=r"README\.md exists already"):
        write_card(run, run)
    (run / "README.md").unlink()
    with pytest.raises(DataError, match=r"card\.json exists already"):
        write_card(run, run)
    assert not (run / "README.md").exists()


def test_what_is_no_model_or_no_record_is_refused(run: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="there is no folder"):
        write_card(tmp_path / "absent", tmp_path / "out")
    (tmp_path / "bad.json").write_text("{}")
    with pytest.raises(DataError, match="not a recorded run"):
        write_card(run, tmp_path / "out", [tmp_path / "bad.json"])
    (run / "run.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"run\.json: broken"):
        write_card(run, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_model_that_ships_has_a_card_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("run.json").write_text('{"source": "of another model"}')
    with pytest.raises(ConfigError, match=r"wiki ships with the package .* --out DIR"):
        write_card("wiki", "wiki")
    assert not Path("wiki").exists()
    text = write_card("wiki", "out")[0].read_text()
    assert "# wiki: a dense retriever" in text
    assert "of another model" not in text
