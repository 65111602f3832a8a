"""Runs: what a training leaves behind, and where its documents may come from."""

import gzip
import json
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import synthetic
import tiny
import torch
from filelock import FileLock

from contriever_lite import __version__, cli, presets, runs
from contriever_lite import circumstances as circumstances_module
from contriever_lite.beir_writer import write_beir
from contriever_lite.circumstances import circumstances, commit, device
from contriever_lite.config import TrainConfig, from_dict
from contriever_lite.corpus import Corpus
from contriever_lite.dry_run import dry_run
from contriever_lite.encode import encode_to_folder
from contriever_lite.errors import ConfigError, DataError
from contriever_lite.retriever import Retriever
from contriever_lite.run_files import read_config, read_record
from contriever_lite.runs import read_corpus, read_documents, train_run

QUICK = synthetic.SMALL.replace(steps=3, seed=5)
PAIRS = [("Fog", "Fog seldom outlasts a night."), ("", "The ferry crosses twice a day.")]


def write_lines(path: Path, *records: object) -> Path:
    text = "".join(json.dumps(record) + "\n" for record in records)
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "wt", encoding="utf-8") as file:
        file.write(text)
    return path


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """The synthetic documents as JSON lines."""
    return write_lines(tmp_path / "documents.jsonl", *synthetic.world().corpus.values())


def test_a_run_leaves_what_it_promises(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "runs" / "one"
    retriever = train_run(QUICK, source, out)
    assert {path.name for path in out.iterdir()} == {
        "config.json", "metrics.jsonl", "model", "run.json",
    }, "no state was due"  # fmt: skip
    assert read_config(out) == QUICK
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3]
    texts = synthetic.world().texts()[:5]
    np.testing.assert_array_equal(Retriever.load(out).encode(texts), retriever.encode(texts))
    record = json.loads((out / "run.json").read_text())
    assert record["source"] == str(source)
    assert from_dict(record["config"]) == QUICK
    assert record["versions"]["torch"] == torch.__version__
    assert record["versions"]["contriever-lite"] == __version__
    assert record["device"] == device()
    assert record["commit"] == commit()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", record["date"])
    assert set(record["seconds"]) == {"reading and tokenising", "training"}
    assert all(seconds >= 0 for seconds in record["seconds"].values())


def test_the_settings_recorded_are_those_that_were_used(source: Path, tmp_path: Path) -> None:
    train_run(QUICK.replace(batch_size=5000), source, tmp_path / "run")
    assert read_config(tmp_path / "run").batch_size == len(synthetic.world().corpus)


def test_the_same_settings_make_the_same_model(source: Path, tmp_path: Path) -> None:
    models = []
    for name in ("one", "two"):
        train_run(QUICK, source, tmp_path / name)
        models.append((tmp_path / name / "model" / "model.safetensors").read_bytes())
    assert models[0] == models[1]


def test_a_run_that_counts_words_once_is_loaded_so(source: Path, tmp_path: Path) -> None:
    retriever = train_run(QUICK.replace(once=True), source, tmp_path / "run")
    texts = synthetic.world().texts()[:5]
    loaded = Retriever.load(tmp_path / "run")
    np.testing.assert_array_equal(loaded.encode(texts), retriever.encode(texts))
    np.testing.assert_array_equal(loaded.encode(["bome bome"]), loaded.encode(["bome"]))


def test_an_existing_folder_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine").mkdir()
    monkeypatch.setattr(runs, "read_corpus", lambda *_: pytest.fail("nothing is read before"))
    with pytest.raises(DataError, match="mine exists already; choose another name") as error:
        train_run(QUICK, "tiny", tmp_path / "mine")
    assert "--resume" not in str(error.value), "it is no run"
    assert list((tmp_path / "mine").iterdir()) == []
    (tmp_path / "mine" / "config.json").write_text("{}")
    with pytest.raises(DataError, match=r"exists already.*as it is a run, go on .*: --resume"):
        train_run(QUICK, "tiny", tmp_path / "mine")


def test_two_processes_do_not_train_one_run(interrupted: Path, source: Path) -> None:
    before = sorted(path.name for path in interrupted.iterdir())
    with (
        FileLock(interrupted / "lock"),
        pytest.raises(ConfigError, match="is being written by another process"),
    ):
        train_run(QUICK, source, interrupted, resume=True)
    (interrupted / "lock").unlink(missing_ok=True)
    assert sorted(path.name for path in interrupted.iterdir()) == before
    train_run(QUICK, source, interrupted, resume=True)
    assert not (interrupted / "lock").exists()


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"save_every": float("nan")}, "save_every = nan: must be 0 seconds or more"),
        ({"save_every": -1.0}, "save_every = -1.0: must be"),
        ({"evaluate_every": -5}, "evaluate_every = -5: must be 0 steps or more"),
    ],
)
def test_numbers_without_a_meaning(
    source: Path, tmp_path: Path, option: dict, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        train_run(QUICK, source, tmp_path / "run", **option)
    assert not (tmp_path / "run").exists()


def test_a_dry_run_finds_what_the_run_would_refuse(
    interrupted: Path, source: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=r"learning_rate = .* there, 0\.5 now"):
        dry_run(QUICK.replace(learning_rate=0.5), source, interrupted, resume=True)
    dry_run(QUICK, source, interrupted, resume=True)
    words = ["train", "--preset", "demo", "--data", str(source), "--out", str(tmp_path / "new")]
    assert cli.main([*words, "--dry-run", "--evaluate", "nosuch"]) == 1


def test_an_interrupted_run_leaves_its_settings_and_log_and_no_model(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(config: TrainConfig, corpus: Corpus, log: Path, **_: object) -> None:
        log.write_text('{"step": 1}\n')
        raise KeyboardInterrupt

    monkeypatch.setattr(runs, "train", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train_run(QUICK, source, tmp_path / "run")
    left = {path.name for path in (tmp_path / "run").iterdir()}
    assert left == {"config.json", "metrics.jsonl", "run.json"}


def go_on(config: TrainConfig, source: Path, out: Path) -> None:
    """Start a run, or go on with it; its state is saved after every step."""
    train_run(config, source, out, resume=out.exists(), save_every=0)


def steps_logged(out: Path) -> int:
    log = out / "metrics.jsonl"
    return len(log.read_text().splitlines()) if log.exists() else 0


LONG = QUICK.replace(steps=60)


@pytest.mark.parametrize(
    ("long", "kills"),
    [
        (LONG, 4),
        (LONG.replace(objective="moco", queue_size=50, momentum=0.8), 4),
        (tiny.MOCO.replace(steps=24, layers=1), 2),
    ],
    ids=["in-batch", "moco", "transformer"],
)
def test_a_killed_run_ends_with_the_same_weights(
    long: TrainConfig, kills: int, source: Path, tmp_path: Path
) -> None:
    """SIGKILL at random moments; whatever it was doing, --resume goes on."""
    train_run(long, source, tmp_path / "whole")
    out, moments = tmp_path / "killed", np.random.default_rng(long.queue_size)
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["contriever_lite.runs", "transformers.models.bert"])
    for _ in range(kills):
        before = steps_logged(out)
        process = processes.Process(target=go_on, args=(long, source, out))
        process.start()
        while process.is_alive() and steps_logged(out) < before + 1:
            time.sleep(0.001)
        time.sleep(moments.uniform(0, 0.05))
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL, "it was still training"
        assert {"config.json", "metrics.jsonl"} <= {path.name for path in out.iterdir()}
    assert kills <= steps_logged(out) < long.steps
    go_on(long, source, out)
    models = [folder / "model" / "model.safetensors" for folder in (tmp_path / "whole", out)]
    assert models[0].read_bytes() == models[1].read_bytes()
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(1, long.steps + 1)), "each step once"
    assert json.loads((out / "run.json").read_text())["resumed"] is True
    assert {path.name for path in (out / "states").iterdir()} == {
        f"step-{long.steps - 1}.pt", f"step-{long.steps}.pt",
    }  # fmt: skip


@pytest.fixture
def interrupted(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a run of QUICK, interrupted before its model was saved."""
    monkeypatch.setattr(runs, "retriever_for", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        train_run(QUICK, source, tmp_path / "run", save_every=0)
    monkeypatch.undo()
    return tmp_path / "run"


def test_resuming_needs_the_same_settings(interrupted: Path, source: Path) -> None:
    before = contents(interrupted)
    assert {"config.json", "metrics.jsonl", "states/step-3.pt"} <= set(before)
    with pytest.raises(ConfigError, match=r"other settings: seed = 5 there, 6 now\. Go on"):
        train_run(QUICK.replace(seed=6), source, interrupted, resume=True)
    other = write_lines(
        source.parent / "other.jsonl", *[{"text": "one two"}, {"text": "three four"}]
    )
    with pytest.raises(ConfigError, match="batch_size = 32 there, 2 now"):
        train_run(QUICK, other, interrupted, resume=True)
    assert contents(interrupted) == before


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_resuming_needs_the_same_documents(interrupted: Path, source: Path) -> None:
    lines = source.read_text().splitlines(keepends=True)
    source.write_text("".join(lines[::-1]))
    with pytest.raises(ConfigError, match="made from other documents or another tokenizer"):
        train_run(QUICK, source, interrupted, resume=True)


def test_a_resumed_run_records_the_seconds_of_all_its_sittings(
    interrupted: Path, source: Path
) -> None:
    log = interrupted / "metrics.jsonl"
    lines = [json.loads(line) | {"seconds": 1000.0} for line in log.read_text().splitlines()]
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    train_run(QUICK, source, interrupted, resume=True)
    assert read_record(interrupted)["seconds"]["training"] >= 1000


def test_a_finished_run_is_not_resumed(interrupted: Path, source: Path) -> None:
    train_run(QUICK, source, interrupted, resume=True)
    with pytest.raises(ConfigError, match=r"is finished: its model is in .*nothing to resume"):
        train_run(QUICK, source, interrupted, resume=True)
    with pytest.raises(DataError, match="exists already"):
        train_run(QUICK, source, interrupted)


def test_what_is_not_a_run_is_not_resumed(source: Path, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for name in ("nothing", "folder"):
        with pytest.raises(ConfigError, match="is not a run: it has no config"):
            train_run(QUICK, source, tmp_path / name, resume=True)
    assert not (tmp_path / "nothing").exists()
    assert list((tmp_path / "folder").iterdir()) == []


def test_the_command_line_resumes(
    interrupted: Path, source: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(presets.PRESETS, "quick", QUICK)
    words = ["train", "--preset", "quick", "--data", str(source), "--out", str(interrupted)]
    assert cli.main(words) == 1
    assert "go on with it: --resume" in capsys.readouterr().err
    assert cli.main([*words, "--resume", "--seed", "9"]) == 1
    assert "seed = 5 there, 9 now" in capsys.readouterr().err
    assert cli.main([*words, "--resume"]) == 0
    assert "trained for 3 steps" in capsys.readouterr().out
    assert Retriever.load(interrupted).encode(["bome"]).shape == (1, QUICK.dimension)
    with pytest.raises(SystemExit):
        cli.main(["train", "--help"])
    assert "--resume" in capsys.readouterr().out


def test_the_best_state_by_a_collection_stays(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setitem(presets.PRESETS, "quick", QUICK.replace(steps=6))
    qrels = {"qrels/dev.tsv": [("q1", "a", 1)], "qrels/test.tsv": [("q1", "b", 1)]}
    judge = tmp_path / "judge"
    (judge / "qrels").mkdir(parents=True)
    (judge / "corpus.jsonl").write_text(
        '{"_id": "a", "text": "bome bimu"}\n{"_id": "b", "text": "gate"}\n'
    )
    (judge / "queries.jsonl").write_text('{"_id": "q1", "text": "bome"}\n')
    for name, rows in qrels.items():
        lines = ["query-id\tcorpus-id\tscore", *("\t".join(map(str, row)) for row in rows)]
        (judge / name).write_text("\n".join(lines) + "\n")
    out = tmp_path / "run"
    words = ["train", "--preset", "quick", "--data", str(source), "--out", str(out),
             "--evaluate", str(judge), "--evaluate-every", "2", "--keep", "1"]  # fmt: skip
    assert cli.main(words) == 0, capsys.readouterr().err
    log = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    scored = {line["step"]: line["ndcg@10"] for line in log if "ndcg@10" in line}
    assert list(scored) == [0, 2, 4, 6]
    best = max((step for step in scored if step), key=lambda step: (scored[step], -step))
    assert f"step-{best}.pt" in {path.name for path in (out / "states").iterdir()}


def test_a_corpus_that_is_too_small_leaves_nothing(tmp_path: Path) -> None:
    source = write_lines(tmp_path / "one.jsonl", {"text": "a single document"})
    with pytest.raises(ConfigError, match="1 of 1 documents have two tokens"):
        train_run(QUICK, source, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
def test_documents_of_a_file_of_json_lines(tmp_path: Path, name: str) -> None:
    (_, first), second = PAIRS
    path = write_lines(
        tmp_path / name,
        {"title": "Fog", "text": first, "more": 3},
        {"text": second[1]},
        {"title": None, "text": ""},
    )
    with pytest.warns(UserWarning, match="1 of 3 documents have neither"):
        assert read_documents(path) == read_documents(str(path)) == [*PAIRS, ("", "")]


def test_documents_of_a_folder_and_of_a_name(tmp_path: Path) -> None:
    write_beir(synthetic.world(), tmp_path / "world")
    expected = [(d["title"], d["text"]) for d in synthetic.world().corpus.values()]
    assert read_documents(tmp_path / "world") == expected
    assert read_documents("tiny")[0][0] == "The ferry"


def test_bad_lines_are_named(tmp_path: Path) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text(
        '{"text": "good"}\n{"title": "no text"}\n{broken\n{"title": 3, "text": ""}\n[]\n'
    )
    with pytest.raises(DataError) as error:
        read_documents(path)
    message = str(error.value)
    assert message.startswith("4 faults")
    for line in (2, 3, 4, 5):
        assert f"{path}:{line}: " in message
    assert "needs a string `text`" in message


def test_a_file_that_is_missing_or_empty_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no file .*none.jsonl; give a file, a folder"):
        read_documents(tmp_path / "none.jsonl")
    (tmp_path / "empty.jsonl").touch()
    with pytest.raises(DataError, match="there are no documents"):
        read_corpus(tmp_path / "empty.jsonl", 200)
    with pytest.raises(ConfigError, match="no collection 'wikipedia-vitall'"):
        read_documents("wikipedia-vitall")


def test_a_prepared_corpus_is_opened_as_it_is(tmp_path: Path) -> None:
    folder = synthetic.corpus().save(tmp_path / "corpus")
    corpus = read_corpus(folder, 100)
    assert corpus.tokens.tolist() == synthetic.corpus().tokens.tolist()
    assert corpus.tokenizer.to_str() == synthetic.corpus().tokenizer.to_str()
    train_run(QUICK, folder, tmp_path / "run")
    assert Retriever.load(tmp_path / "run").tokenizer.to_str() == corpus.tokenizer.to_str()


def test_anything_else_is_tokenised_with_a_vocabulary_of_its_own(source: Path) -> None:
    corpus = read_corpus(source, 320)
    assert len(corpus) == len(synthetic.world().corpus)
    assert corpus.tokenizer.get_vocab_size() == 320
    assert (corpus.titles > 0).all(), "titles are kept apart"


def test_circumstances_without_settings() -> None:
    found = circumstances()
    assert found["config"] is None
    assert {"python", "torch", "numpy", "tokenizers"} <= set(found["versions"])
    json.dumps(found)


def test_libraries_that_are_not_installed_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(circumstances_module, "LIBRARIES", ("numpy", "no-such-library"))
    assert set(circumstances()["versions"]) == {"python", "numpy"}


def test_the_commit_is_marked_where_files_differ_from_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = tmp_path / "package" / "runs.py"
    module.parent.mkdir()
    module.write_text("one")
    monkeypatch.setattr(circumstances_module, "__file__", str(module))
    assert commit() is None, "not a checkout"

    def git(*words: str) -> None:
        settings = ("-c", "user.name=a", "-c", "user.email=a@example.org")
        subprocess.run(["git", *settings, *words], cwd=tmp_path, check=True, capture_output=True)

    git("init")
    git("add", "package")
    git("commit", "-m", "one", "--no-gpg-sign")
    clean = commit()
    assert re.fullmatch("[0-9a-f]{12}", clean)
    (tmp_path / "elsewhere.txt").write_text("not of the package")
    assert commit() == clean
    module.write_text("two")
    assert commit() == clean + "+"
    monkeypatch.setattr(circumstances_module.shutil, "which", lambda name: None)
    assert commit() is None, "no git"


def test_the_device_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert device().endswith(f", {torch.get_num_threads()} threads")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Some GPU")
    assert device() == "Some GPU"


def test_a_wrong_setting_leaves_the_name_free(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    with pytest.raises(ConfigError, match="fp16"):
        train_run(QUICK.replace(precision="fp16"), source, out)
    assert not out.exists()
    train_run(QUICK, source, out)
    assert (out / "model").is_dir()


def test_the_precision_is_the_configs(source: Path, tmp_path: Path) -> None:
    before = train_run(QUICK, source, tmp_path / "one").encode(["bada dofa"])
    code = (
        "import sys, numpy as np\n"
        "from contriever_lite.runs import train_run, read_config\n"
        "run = train_run(read_config(sys.argv[1]), sys.argv[2], sys.argv[3])\n"
        "np.save(sys.argv[4], run.encode(['bada dofa']))\n"
    )
    paths = map(str, (tmp_path / "one", source, tmp_path / "two", tmp_path / "vectors.npy"))
    environment = {**os.environ, "ACCELERATE_MIXED_PRECISION": "bf16"}
    subprocess.run([sys.executable, "-c", code, *paths], check=True, env=environment)
    np.testing.assert_allclose(np.load(tmp_path / "vectors.npy"), before, rtol=0, atol=1e-6)


def test_a_folder_of_vectors_is_no_corpus(source: Path, tmp_path: Path) -> None:
    train_run(QUICK, source, tmp_path / "run")
    encode_to_folder(str(tmp_path / "run"), str(source), tmp_path / "vectors")
    with pytest.raises(DataError, match="format 'of vectors'"):
        train_run(QUICK, tmp_path / "vectors", tmp_path / "other")
