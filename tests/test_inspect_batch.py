"""What a run read at a step can be seen again, and runs on several corpora."""

import json
from pathlib import Path

import pytest
import synthetic

from contriever_lite.cli import main
from contriever_lite.corpus import build_corpus
from contriever_lite.errors import CheckpointError, ConfigError
from contriever_lite.inspect_batch import show_batch
from contriever_lite.runs import read_corpus, train_run

WORLD = list(synthetic.world().corpus.values())
QUICK = synthetic.SMALL.replace(
    vocab_size=300, steps=4, dimension=8, batch_size=10, query_delete=0, key_delete=0
)


@pytest.fixture
def sources(tmp_path: Path) -> list[Path]:
    """Forty of the synthetic documents as JSON lines, and eighty."""
    paths = [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]
    for path, part in zip(paths, (WORLD[:40], WORLD[40:]), strict=True):
        path.write_text("".join(json.dumps(document) + "\n" for document in part))
    return paths


def shown(text: str) -> list[tuple[str, list[str]]]:
    """[(document, its views)] of what was printed."""
    pairs: list[tuple[str, list[str]]] = []
    for line in text.splitlines()[1:]:
        if line.startswith("  "):
            pairs[-1][1].append(line.split(": ", 1)[1])
        else:
            pairs.append((line, []))
    return pairs


def test_views_are_pieces_of_the_documents_named(sources: list[Path], tmp_path: Path) -> None:
    train_run(QUICK.replace(query_views=2), sources[0], tmp_path / "run")
    text = show_batch(tmp_path / "run", 3, everything=True)
    assert text.startswith("step 3 of 4: 10 pairs, 10 shown\ndocument ")
    pairs = shown(text)
    assert len({name for name, _ in pairs}) == 10
    for name, views in pairs:
        document = WORLD[int(name.removeprefix("document "))]
        words = f"{document['title']} {document['text']}"
        assert len(views) == 3
        assert all(view in words for view in views)


def test_few_are_shown_unless_asked(sources: list[Path], tmp_path: Path) -> None:
    train_run(QUICK, sources[0], tmp_path / "run")
    few, every = (shown(show_batch(tmp_path / "run", 1, everything=e)) for e in (False, True))
    assert few == every[:8]


@pytest.mark.parametrize("mixture", ["example", "share", "batch", "size"])
def test_a_run_on_two_sources(mixture: str, sources: list[Path], tmp_path: Path) -> None:
    """Trained from the command line, rebuilt from what it left; each line says its source."""
    out = str(tmp_path / "run")
    words = [word for path in sources for word in ("--data", str(path))]
    settings = ["vocab_size=300", "steps=4", "dimension=8", "batch_size=10", f"mixture={mixture}"]
    assert main(["train", *words, "--out", out, "--set", *settings]) == 0
    assert json.loads((tmp_path / "run/run.json").read_text())["source"] == list(map(str, sources))
    names = [name for name, _ in shown(show_batch(out, 2, everything=True))]
    share = sum(name.endswith("of source 1") for name in names)
    assert {"share": share == 5, "batch": share == 0}.get(mixture, 0 < share < 10)
    assert all(0 <= int(name.split()[1]) < (40 if name.endswith("1") else 80) for name in names)


def test_windows_are_named_as_such(sources: list[Path], tmp_path: Path) -> None:
    train_run(QUICK.replace(straddle=True, window=20), sources, tmp_path / "run")
    named = [name for name, _ in shown(show_batch(tmp_path / "run", 4))]
    assert all(name.startswith("window ") and " of source " in name for name in named)


def test_what_is_not_prepared_is_read_as_what_is(sources: list[Path], tmp_path: Path) -> None:
    prepared = read_corpus(sources[0], 200)
    prepared.save(tmp_path / "corpus")
    mixed = read_corpus([sources[1], tmp_path / "corpus"], 300)
    assert mixed.sources == (0, 80)
    assert mixed.tokenizer.to_str() == prepared.tokenizer.to_str()
    pairs = [(document["title"], document["text"]) for document in [*WORLD[40:], *WORLD[:40]]]
    expected = build_corpus(pairs, prepared.tokenizer)
    assert list(mixed.tokens[:]) == expected.tokens.tolist()
    assert mixed.offsets.tolist() == expected.offsets.tolist()
    read_corpus(sources, 400).save(tmp_path / "other")
    with pytest.raises(ConfigError, match="corpus 2 was made by another tokenizer"):
        read_corpus([tmp_path / "corpus", tmp_path / "other"], 300)


def test_a_run_cut_short_says_its_sources(
    sources: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As the message of a loss that is not finite promises."""
    out = str(tmp_path / "run")
    bad = ["normalise=false", "learning_rate=1e30", "warmup=0", "steps=50", "batch_size=10"]
    words = ["--data", str(sources[0]), "--set", "vocab_size=300", "dimension=8", *bad]
    assert main(["train", *words, "--out", out]) == 1
    error = capsys.readouterr().err
    command = error[error.index("contriever-lite batch --run") :].split()[1:6]
    command[-1] = command[-1].rstrip(".;,")
    assert main(command) == 0
    assert "document " in capsys.readouterr().out


def test_what_cannot_be_shown_is_refused(sources: list[Path], tmp_path: Path) -> None:
    train_run(QUICK, sources[0], tmp_path / "run")
    for step in (0, 5):
        with pytest.raises(ConfigError, match=f"step is {step}; allowed: 1 to 4"):
            show_batch(tmp_path / "run", step)
    sources[0].write_text("".join(json.dumps(document) + "\n" for document in WORLD[:7]))
    with pytest.raises(ConfigError, match="batches of 10, but the text is enough for 7"):
        show_batch(tmp_path / "run", 1)
    assert show_batch(tmp_path / "run", 1, [sources[1]])
    (tmp_path / "run/run.json").unlink()
    with pytest.raises(ConfigError, match="does not say what it was trained on; name it: --data"):
        show_batch(tmp_path / "run", 1)
    with pytest.raises(CheckpointError, match="is not a run"):
        show_batch(tmp_path, 1)
    (tmp_path / "run/run.json").write_text('{"sour')
    with pytest.raises(CheckpointError, match="broken JSON"):
        show_batch(tmp_path / "run", 1)


def test_a_run_that_learnt_from_labels_is_refused(sources: list[Path], tmp_path: Path) -> None:
    train_run(QUICK, sources[1], tmp_path / "run")
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    (tmp_path / "run" / "run.json").write_text(json.dumps({**record, "negatives": "in-batch"}))
    with pytest.raises(ConfigError, match="learnt from labels"):
        show_batch(tmp_path / "run", 1)
