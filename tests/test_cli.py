"""The command line: each command end to end, and every error in a line or two."""

import errno
import json
import lzma
import re
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import ir_measures
import numpy as np
import pytest
import synthetic
import tiny

from contriever_lite import __version__
from contriever_lite import demo as demo_module
from contriever_lite.beir_writer import write_beir
from contriever_lite.build import new_encoder
from contriever_lite.cli import main
from contriever_lite.corpus import Corpus
from contriever_lite.encoded import EncodedCorpus
from contriever_lite.errors import ConfigError, DataError, UserError
from contriever_lite.fusion import weighted_fusion
from contriever_lite.parser import COMMANDS
from contriever_lite.registry import REGISTRY
from contriever_lite.retriever import Retriever
from contriever_lite.runs import read_config
from contriever_lite.trec import read_run

SETTINGS = ["steps=3", "dimension=16", "batch_size=16", "vocab_size=400", "window=32"]
QUERY = next(iter(synthetic.world().queries.values()))


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder to run in, with a collection in it, no downloads, and warnings as they were."""
    monkeypatch.delenv("CONTRIEVER_LITE_DATA", raising=False)
    monkeypatch.setenv("CONTRIEVER_LITE_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    write_beir(synthetic.world(), tmp_path / "world")
    with warnings.catch_warnings():
        yield tmp_path


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of a run."""
    folder = tmp_path_factory.mktemp("runs")
    write_beir(synthetic.world(), folder / "world")
    out = folder / "run"
    assert (
        main(["train", "--data", str(folder / "world"), "--out", str(out), "--set", *SETTINGS]) == 0
    )
    return str(out)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run a command that must succeed; what it printed."""

    def command(*words: str) -> str:
        capsys.readouterr()
        status = main(words)
        printed = capsys.readouterr()
        assert (status, printed.err) == (0, "")
        return printed.out

    return command


@pytest.fixture
def fails(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run a command that must fail: status 1, nothing on standard output, an error of a line or
    two without a traceback; with --debug the exception itself."""

    def command(*words: str) -> str:
        capsys.readouterr()
        status = main(words)
        printed = capsys.readouterr()
        assert (status, printed.out) == (1, "")
        assert printed.err.startswith("contriever-lite: ")
        assert 1 <= printed.err.count("\n") <= 2
        assert "Traceback" not in printed.err
        with pytest.raises((UserError, OSError)) as error:
            main([*words, "--debug"])
        assert printed.err == f"contriever-lite: {error.value}\n"
        return printed.err

    return command


def test_every_command_of_the_contract_is_there_with_help(
    capsys: pytest.CaptureFixture[str],
) -> None:
    contract = "demo data prepare train finetune batch encode search eval fuse report card export"
    assert list(COMMANDS) == contract.split()
    for words in ([], *([name] for name in COMMANDS)):
        with pytest.raises(SystemExit) as end:
            main([*words, "--help"])
        assert end.value.code == 0
        printed = capsys.readouterr().out
        assert printed.startswith("usage: contriever-lite " + " ".join(words))
        assert ("--debug" in printed) == bool(words)


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["no-such-command"],
        ["train", "--out", "run"],
        ["eval", "--data", "tiny"],
        ["search", "--model", "bm25", "--data", "tiny"],
        ["search", "--model", "bm25", "--data", "tiny", "--k", "many", "query"],
        ["data", "destroy"],
        ["eval", "--model", "bm25", "--data", "tiny", "--unknown", "1"],
    ],
)
def test_wrong_usage_is_explained(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(words)
    assert end.value.code == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("usage: contriever-lite")


def test_the_program_itself_exits_with_the_status() -> None:
    command = [sys.executable, "-m", "contriever_lite.cli"]
    good = subprocess.run([*command, "--version"], capture_output=True, text=True, check=False)
    assert (good.returncode, good.stdout) == (0, f"{__version__}\n")
    bad = subprocess.run([*command, "data", "get"], capture_output=True, text=True, check=False)
    assert (bad.returncode, bad.stdout) == (1, "")
    assert bad.stderr.startswith("contriever-lite: data get needs the name of a collection")
    assert bad.stderr.count("\n") == 1


def test_data_list_get_info_and_check(run: Callable[..., str], here: Path) -> None:
    listed = run("data", "list")
    assert all(re.search(rf"^{re.escape(name)} ", listed, re.MULTILINE) for name in REGISTRY)
    place = Path(run("data", "get", "tiny").strip())
    assert (place / "corpus.jsonl").is_file()
    info = run("data", "info", "tiny")
    assert "16 documents" in info
    assert "licence" in info
    for name in ("tiny", str(place)):
        checked = run("data", "check", name)
        assert "16 documents, 8 queries" in checked
        assert "test: 4 queries judged" in checked
    assert "120 documents, 20 queries" in run("data", "check", "world")


def test_data_errors(fails: Callable[..., str], here: Path) -> None:
    assert "data check needs the name of a folder" in fails("data", "check")
    assert "data info needs the name of a collection" in fails("data", "info")
    assert "Did you mean scifact" in fails("data", "get", "scifac")
    assert "no collection 'nothing'" in fails("data", "info", "nothing")
    assert "no folder nowhere" in fails("data", "check", "nowhere")
    corpus = here / "world" / "corpus.jsonl"
    corpus.write_text(corpus.read_text() + "{broken\n")
    assert "corpus.jsonl:121: not a line of JSON" in fails("data", "check", "world")


def test_train_leaves_a_run(run: Callable[..., str], here: Path) -> None:
    printed = run("train", "--data", "world", "--out", "runs/a", "--set", *SETTINGS, "--seed", "4")
    assert printed.startswith("runs/a: trained for 3 steps, ")
    config = read_config("runs/a")
    assert (config.steps, config.dimension, config.seed) == (3, 16, 4)
    encoder = Retriever.load("runs/a").encoder
    size = sum(p.numel() for p in encoder.parameters())
    assert f"{size:,} parameters" in printed
    log = Path("runs/a/metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in log] == [1, 2, 3]


def test_train_says_the_steps_that_it_did(run: Callable[..., str]) -> None:
    """Passes over the documents may end a training before `steps`."""
    printed = run("train", "--data", "world", "--out", "a", "--set", *SETTINGS, "epochs=0.15")
    assert printed.startswith("a: trained for 1 steps, ")


def test_settings_may_be_given_together_or_one_by_one(run: Callable[..., str]) -> None:
    common = ["--data", "world", "--out", "never", "--dry-run"]

    def settled(*words: str) -> str:
        settings, estimate = run("train", *common, *words).split("\n\n")
        assert estimate.startswith("parameters   ")
        return settings

    together = settled("--set", "steps=7", "dimension=8", "query_tokens=2,5")
    apart = settled("--set", "steps=7", "--set", "dimension=8", "--set", "query_tokens=[2, 5]")
    assert together == apart
    assert re.search(r"^steps +7 ", together, re.MULTILINE)
    assert re.search(r"^query_tokens +\(2, 5\) ", together, re.MULTILINE)
    assert re.search(r"^seed +3 ", settled("--seed", "3"), re.MULTILINE)
    assert settled("--preset", "laptop") == settled(), "laptop is the default"
    assert not Path("never").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--set", "stepz=3"], "no setting 'stepz'; did you mean steps"),
        (["--set", "steps"], "'steps': write a setting as name=value"),
        (["--set", "steps=3", "--set", "temperature=0"], "temperature = 0.0: must be more than 0"),
        (["--set", "loss=mse"], "choose one of info_nce, equation_1"),
        (["--seed", "-1"], "seed = -1: must be at least 0"),
        (["--preset", "huge"], "no preset 'huge'; choose one of demo, laptop"),
        (["--data", "nowhere"], "no collection 'nowhere'"),
        (["--data", "nowhere.jsonl"], "there is no file nowhere.jsonl"),
    ],
)
def test_training_errors(fails: Callable[..., str], words: list[str], message: str) -> None:
    assert message in fails("train", "--data", "world", "--out", "run", *words)
    assert not Path("run").exists()


def test_a_training_that_diverges_says_where(fails: Callable[..., str], here: Path) -> None:
    settings = ["normalise=false", "learning_rate=1e30", "warmup=0", "steps=50"]
    words = ["train", "--data", "world", "--set", *SETTINGS, *settings, "--out"]
    with pytest.raises(UserError, match="at step"):
        main([*words, "one", "--debug"])
    assert not (here / "one" / "model").exists()
    assert "exists already" in fails(*words, "one")


def test_prepare_and_train_on_what_was_prepared(run: Callable[..., str], here: Path) -> None:
    lines = [json.dumps(document) for document in synthetic.world().corpus.values()]
    (here / "more.jsonl").write_text("\n".join(lines[:5]) + "\n")
    printed = run("prepare", "world", "more.jsonl", "--out", "corpus", "--vocab-size", "300")
    assert printed.startswith("corpus: 125 documents, ")
    assert printed.strip().endswith("300 word pieces")
    corpus = Corpus.open("corpus", verify=True)
    assert len(corpus) == 125
    again = run("prepare", "more.jsonl", "--out", "other", "--tokenizer", "corpus")
    assert again.startswith("other: 5 documents, ")
    assert Corpus.open("other").tokenizer.to_str() == corpus.tokenizer.to_str()
    run("train", "--data", "corpus", "--out", "run", "--set", *SETTINGS)
    assert Retriever.load("run").tokenizer.to_str() == corpus.tokenizer.to_str()


def test_prepare_takes_packed_files_and_workers(run: Callable[..., str], here: Path) -> None:
    lines = (here / "world" / "corpus.jsonl").read_bytes()
    (here / "packed.jsonl.xz").write_bytes(lzma.compress(lines))
    words = ["prepare", "packed.jsonl.xz", "--vocab-size", "300", "--out"]
    for out, more in (("one", []), ("two", ["--workers", "2"])):
        assert run(*words, out, *more).startswith(f"{out}: 120 documents, ")
    manifests = [Path(out, "manifest.json").read_text() for out in ("one", "two")]
    assert manifests[0] == manifests[1]
    assert run(*words, "some", "--vocab-characters", "1").endswith(" word pieces\n")
    assert Corpus.open("some").tokenizer.get_vocab_size() < 300


def test_prepare_errors(fails: Callable[..., str], here: Path) -> None:
    (here / "bad.jsonl").write_text('{"text": 3}\n')
    assert "bad.jsonl:1: needs a string" in fails("prepare", "bad.jsonl", "--out", "corpus")
    words = ["prepare", "world", "--out", "corpus", "--tokenizer"]
    assert "cannot load a tokenizer" in fails(*words, str(here / "world"))
    few = ["prepare", "world", "--out", "corpus", "--vocab-size"]
    assert "vocab_size = 5: must be more than 5" in fails(*few, "5")
    assert "workers is 0" in fails("prepare", "world", "--out", "corpus", "--workers", "0")
    (here / "corpus").mkdir()
    assert "corpus exists already" in fails("prepare", "world", "--out", "corpus")


def test_encode_writes_ids_and_vectors(run: Callable[..., str], trained: str) -> None:
    words = ["encode", "--model", trained, "--data", "world", "--out"]
    assert run(*words, "v.1") == "v.1.npz: 120 vectors of 16 dimensions\n"
    assert run(*words, "v.2.npz").startswith("v.2.npz: ")
    found = np.load("v.1.npz")
    assert found["ids"].tolist() == synthetic.world().document_ids()
    expected = Retriever.load(trained).encode(synthetic.world().texts())
    np.testing.assert_array_equal(found["vectors"], expected)


def test_encode_reads_json_lines(run: Callable[..., str], trained: str, here: Path) -> None:
    (here / "mine.jsonl").write_text('{"text": "one"}\n{"title": "the", "text": "other"}\n')
    run("encode", "--model", trained, "--data", "mine.jsonl", "--out", "mine")
    found = np.load("mine.npz")
    assert found["ids"].tolist() == ["1", "2"]
    expected = Retriever.load(trained).encode(["one", "the other"])
    np.testing.assert_array_equal(found["vectors"], expected)


def test_encode_reads_a_prepared_corpus(
    run: Callable[..., str], fails: Callable[..., str], trained: str
) -> None:
    model = str(Path(trained) / "model")
    run("prepare", "world", "--out", "corpus", "--tokenizer", model)
    run("encode", "--model", trained, "--data", "corpus", "--out", "from-tokens")
    found = np.load("from-tokens.npz")
    assert found["ids"].tolist() == [str(number) for number in range(1, 121)]
    expected = Retriever.load(trained).encode(synthetic.world().texts())
    np.testing.assert_allclose(found["vectors"], expected, atol=1e-6)
    run("prepare", "world", "--out", "other", "--vocab-size", "300")
    words = ["--data", "other", "--out", "v"]
    assert "made by another tokenizer" in fails("encode", "--model", trained, *words)
    exported = run("export", "--model", trained, "--out", "exported").strip()
    assert "exported cannot read the tokens of other" in fails(
        "encode", "--model", exported, *words
    )
    assert not Path("v.npz").exists()


def test_encode_in_blocks_makes_a_folder_that_search_takes(
    run: Callable[..., str], fails: Callable[..., str], trained: str, here: Path
) -> None:
    words = ["encode", "--model", trained, "--data", "world", "--out", "folder"]
    assert run(*words, "--block", "50") == "folder: 120 vectors of 16 dimensions\n"
    encoded = EncodedCorpus.open("folder")
    run(*words[:-1], "whole")
    whole = np.load("whole.npz")
    assert encoded.ids == whole["ids"].tolist()
    np.testing.assert_allclose(encoded.vectors, whole["vectors"], atol=1e-6)
    assert "folder is finished: there is nothing to resume" in fails(*words, "--resume")
    assert "block is 0" in fails(*words[:-1], "other", "--block", "0")
    asked = ["search", "--model", trained, "--data", "world", "--k", "3", QUERY]
    assert run(*asked, "--vectors", "folder") == run(*asked)
    assert "--vectors is for models" in fails(*asked, "--model", "bm25", "--vectors", "folder")
    (here / "mine.jsonl").write_text('{"text": "one"}\n{"text": "other"}\n')
    run(*words[:3], "--data", "mine.jsonl", "--out", "mine", "--block", "1")
    assert EncodedCorpus.open("mine").ids == ["1", "2"]
    assert "holds the vectors of other documents" in fails(*asked, "--vectors", "mine")
    (here / "folder").rename("folder.part")
    assert "go on with it: --resume" in fails(*words, "--block", "50")
    assert run(*words, "--resume").startswith("folder: 120 vectors")


def test_eval_takes_what_was_encoded_in_blocks(
    run: Callable[..., str], fails: Callable[..., str], trained: str
) -> None:
    run("encode", "--model", trained, "--data", "world", "--block", "50", "--out", "folder")
    words = ["eval", "--model", trained, "--data", "world"]
    run(*words, "--json", "whole.json", "--trec-run", "whole.run")
    run(*words, "--json", "blocks.json", "--trec-run", "blocks.run", "--vectors", "folder")
    whole, blocks = (json.loads(Path(f"{name}.json").read_text()) for name in ("whole", "blocks"))
    assert blocks["scores"] == whole["scores"]
    one, other = (Path(f"{name}.run").read_text().split() for name in ("blocks", "whole"))
    assert one[2::6] == other[2::6]
    vectors = ["--vectors", "folder"]
    wrong = ["eval", "--data", "world", *vectors, "--model"]
    assert "bm25 searches words" in fails(*wrong, "bm25")
    assert "whole.run is a finished ranking" in fails(*wrong, "whole.run")
    assert "folder holds the vectors of other documents" in fails(*words, *vectors, "--no-titles")
    assert "--data all takes no" in fails(*words[:-1], "all", *vectors)
    assert "folder holds vectors of 16 numbers" in fails(*wrong, "wiki")


@pytest.mark.parametrize("words", [["encode", "--out", "v"], ["search", QUERY], ["eval"]])
def test_a_model_computes_on_the_device_asked_for(
    run: Callable[..., str], trained: str, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def opened(*_: object, device: str) -> Retriever:
        asked.append(device)
        return Retriever.load(trained)

    for module in ("models", "encode"):
        monkeypatch.setattr(f"contriever_lite.{module}.load_model", opened)
    run(*words, "--model", "any", "--data", "world", "--device", "cuda:1")
    assert asked == ["cuda:1"]


def test_encode_errors(fails: Callable[..., str], trained: str, here: Path) -> None:
    words = ["encode", "--data", "world", "--out", "v", "--model"]
    assert "no model 'nothing'" in fails(*words, "nothing")
    assert "bm25 scores words and makes no vectors" in fails(*words, "bm25")
    assert not list(here.glob("*v*"))
    (here / "v.npz").write_text("mine")
    assert "v.npz exists already" in fails(*words, trained)
    assert (here / "v.npz").read_text() == "mine"


def test_search_prints_the_best_with_their_scores(run: Callable[..., str], trained: str) -> None:
    for model in ("bm25", trained):
        lines = run("search", "--model", model, "--data", "world", "--k", "4", QUERY).splitlines()
        assert len(lines) == 4
        assert [line.split()[0] for line in lines] == ["1", "2", "3", "4"]
        scores = [float(line.split()[1]) for line in lines]
        assert scores == sorted(scores, reverse=True)
    assert "The ferry: The ferry crosses" in run(
        "search", "--model", "bm25", "--data", "tiny", "ferry timetable"
    )
    nothing = run("search", "--model", "bm25", "--data", "tiny", "zzzz")
    assert nothing == "No document shares a word with this query.\n"


def test_search_errors(fails: Callable[..., str], trained: str) -> None:
    words = ["search", "--data", "world", "query", "--model"]
    for model in ("bm25", trained):
        assert "k is 0; allowed: 1 or more" in fails(*words, model, "--k", "0")
    assert "no model 'nothing'" in fails(*words, "nothing")
    assert "no collection" in fails("search", "--data", "nothing", "--model", "bm25", "query")
    broken = b"caf\xff".decode("utf-8", "surrogateescape")
    assert "is not UTF-8" in fails("search", "--data", "world", "--model", trained, broken)


def test_documents_without_judgements_are_encoded_and_searched(
    run: Callable[..., str], fails: Callable[..., str], trained: str, here: Path
) -> None:
    bare = here / "bare"
    bare.mkdir()
    (bare / "corpus.jsonl").write_bytes((here / "world" / "corpus.jsonl").read_bytes())
    for model in ("bm25", trained):
        words = ["search", "--model", model, "--k", "3", QUERY, "--data"]
        assert run(*words, "bare") == run(*words, "world")
    run("encode", "--model", trained, "--data", "bare", "--out", "vectors")
    assert len(np.load("vectors.npz")["ids"]) == len(synthetic.world().corpus)
    assert "has no qrels" in fails("eval", "--model", "bm25", "--data", "bare")
    assert "no folder" in fails("search", "--model", "bm25", "--data", "./nowhere", "a")


def test_without_sentence_transformers_export_says_what_to_install(
    fails: Callable[..., str], trained: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    monkeypatch.setitem(sys.modules, "sentence_transformers.util", None)
    assert "pip install sentence-transformers" in fails("export", "--model", trained, "--out", "it")
    assert "no model 'typo'" in fails("search", "--data", "world", "query", "--model", "typo")


def test_eval_prints_scores_and_writes_them(run: Callable[..., str], trained: str) -> None:
    for model, label in (("bm25", "bm25"), (trained, "run")):
        words = ["eval", "--model", model, "--data", "world", "--split", "test"]
        printed = run(*words, "--json", f"{label}.json", "--trec-run", f"{label}.trec")
        found = json.loads(Path(f"{label}.json").read_text())
        assert list(found) == [
            "model", "data", "split", "documents", "queries", "seconds", "scores",
        ]  # fmt: skip
        assert (found["model"], found["data"], found["split"]) == (model, "world", "test")
        first, header, row = printed.splitlines()
        assert first.startswith("world, test: 120 documents, 20 queries, ")
        assert header.split() == ["system", "nDCG@10", "R@100", "MRR@10"]
        assert row.split()[0] == label
        for score in found["scores"].values():
            assert f"{score['mean']:.3f} [{score['low']:.3f}, {score['high']:.3f}]" in row
        ranked = read_run(f"{label}.trec")
        assert set(ranked) == set(synthetic.world().queries)


def test_eval_errors(fails: Callable[..., str], trained: str, here: Path) -> None:
    words = ["eval", "--data", "world", "--model"]
    assert "no split 'dev' in world: it has test" in fails(*words, "bm25", "--split", "dev")
    (here / "run.trec").write_text("mine")
    assert "run.trec exists already" in fails(*words, "bm25", "--trec-run", "run.trec")
    assert (here / "run.trec").read_text() == "mine"
    (here / "empty").mkdir()
    (here / "empty" / "config.json").write_text("{}")
    assert "empty/config.json" in fails(*words, "empty")


def test_a_warning_is_a_line_on_standard_error(
    capsys: pytest.CaptureFixture[str], here: Path
) -> None:
    corpus = here / "world" / "corpus.jsonl"
    corpus.write_text(corpus.read_text() + '{"_id": "empty", "title": "", "text": ""}\n')
    assert main(["eval", "--model", "bm25", "--data", "world"]) == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("contriever-lite: warning: world: 1 of 121 documents have neither")


def test_eval_writes_what_other_tools_read(run: Callable[..., str]) -> None:
    """Ranking and judgements, as TREC has them: ir-measures finds the figures that were printed."""
    files = ["--trec-run", "a.trec", "--trec-qrels", "a.qrels", "--json", "a.json"]
    run("eval", "--model", "bm25", "--data", "world", *files, "--per-query", "q.json")
    measures = [ir_measures.nDCG @ 10, ir_measures.R @ 100, ir_measures.RR @ 10]
    judged = list(ir_measures.read_trec_qrels("a.qrels"))
    ranked = list(ir_measures.read_trec_run("a.trec"))
    theirs = ir_measures.calc_aggregate(measures, judged, ranked)
    ours = json.loads(Path("a.json").read_text())["scores"]
    assert [ours[m]["mean"] for m in ("ndcg@10", "recall@100", "mrr@10")] == pytest.approx(
        [theirs[m] for m in measures], abs=1e-6
    )
    queries = json.loads(Path("q.json").read_text())["per_query"]["ndcg@10"]
    for metric in ir_measures.iter_calc(measures[:1], judged, ranked):
        assert queries[metric.query_id] == pytest.approx(metric.value, abs=1e-6)


def test_eval_scores_the_run_of_another_tool(
    run: Callable[..., str], fails: Callable[..., str]
) -> None:
    first = run("eval", "--model", "bm25", "--data", "world", "--trec-run", "a.trec")
    again = run("eval", "--model", "a.trec", "--data", "world")
    assert first.splitlines()[-1].split()[1:] == again.splitlines()[-1].split()[1:]
    message = "which is no document of tiny: it was made from another collection"
    assert message in fails("eval", "--model", "a.trec", "--data", "tiny")
    words = ["fuse", "--data", "tiny", "--trec-run", "a.trec", "--trec-run", "a.trec"]
    assert message in fails(*words)


def test_eval_judges_a_run_by_a_file(
    run: Callable[..., str], fails: Callable[..., str], here: Path
) -> None:
    """Its queries need not be in the collection's own judgements, nor need there be any."""
    files = ["--trec-run", "a.trec", "--trec-qrels", "a.qrels"]
    first = run("eval", "--model", "bm25", "--data", "world", *files)
    for qrels in (here / "world" / "qrels").iterdir():
        qrels.unlink()
    words = ["eval", "--data", "world", "--qrels", "a.qrels", "--model"]
    again = run(*words, "a.trec")
    assert again.startswith("world, a.qrels: 120 documents, 20 queries")
    assert first.splitlines()[-1].split()[1:] == again.splitlines()[-1].split()[1:]
    assert "bm25 is no finished ranking" in fails(*words, "bm25")
    assert "leave --split out" in fails(*words, "a.trec", "--split", "test")


def test_what_would_count_for_nothing_is_refused(
    run: Callable[..., str], fails: Callable[..., str], trained: str
) -> None:
    run("eval", "--model", "bm25", "--data", "world", "--trec-run", "a.trec", "--json", "a.json")
    score, world = ["--score", "dot"], ["--data", "world"]
    for words, idle in (
        (["search", "--model", "bm25", *world, *score, QUERY], "--score"),
        (["eval", "--model", "bm25", *world, "--device", "cuda"], "--device"),
        (["eval", "--model", "a.trec", *world, *score, "--no-titles"], "--no-titles, --score"),
        (["train", *world, "--out", "a", "--evaluate-every", "5"], "--evaluate-every"),
        (["train", *world, "--out", "a", "--evaluate-split", "test"], "--evaluate-split"),
        (["prepare", "world", "--out", "a", "--tokenizer", "b", "--fewest", "2"], "--fewest"),
        (["report", trained, "--paper"], "--paper"),
        (["report", "a.json", "--paper", "--overview"], "--overview"),
        (["report", "a.json", "--paper", "--compare", "a.json"], "runs, --paper"),
    ):
        assert f"leave {idle} out" in fails(*words)
    assert "a.json: no training, as" in fails("report", "a.json", trained)
    assert not Path("a").exists()


def test_json_replaces_a_record_and_nothing_else(
    run: Callable[..., str], fails: Callable[..., str], trained: str
) -> None:
    words = ["eval", "--model", "bm25", "--data", "world", "--json", "a.json"]
    for _ in range(2):
        run(*words)
    record = json.loads(Path("a.json").read_text())
    mine = ["notes", "", "null", "[]", json.dumps({"mine": 1}), json.dumps(record | {"mine": 1})]
    fuse = ["fuse", "--data", "world", "--trec-run", "a", "--trec-run", "b", "--json", "a.json"]
    for text in mine:
        Path("a.json").write_text(text)
        for command in (words, [*words[:4], "all", *words[5:]], fuse, ["demo", *words[5:]]):
            assert "a.json exists already and is not a record" in fails(*command)
        assert Path("a.json").read_text() == text
    Path("a.json").write_text(json.dumps(record))
    assert "is not a record" in fails("demo", "--json", "a.json")


def test_eval_asks_how_a_model_scores(
    run: Callable[..., str], fails: Callable[..., str], trained: str
) -> None:
    words = ["eval", "--data", "world", "--model"]
    assert "scores by cosine" in fails(*words, trained, "--score", "dot")
    assert "--force-score needs --score" in fails(*words, trained, "--force-score")
    assert "bm25 scores words" in fails(*words, "bm25", "--score", "dot")
    assert (
        run(*words, trained, "--score", "cosine").splitlines()[-1]
        == (run(*words, trained).splitlines()[-1])
    )
    forced = run(*words, trained, "--score", "dot", "--force-score", "--json", "f.json")
    assert "run, forced to dot  " in forced
    assert json.loads(Path("f.json").read_text())["model"] == f"{trained}, forced to dot"


def test_a_model_that_says_nothing_is_asked_for_by_every_command(
    run: Callable[..., str], fails: Callable[..., str]
) -> None:
    corpus = synthetic.corpus()
    config = tiny.TINY.replace(specials=True)
    Retriever(new_encoder(config, corpus), corpus.tokenizer).save("hub-model")
    Path("hub-model/contriever_lite.json").unlink()
    for words in (["encode", "--out", "v"], ["search", "--k", "2", QUERY], ["eval"]):
        common = [words[0], "--model", "hub-model", "--data", "world", *words[1:]]
        assert "nothing says how hub-model scores" in fails(*common)
        assert run(*common, "--score", "cosine")
    vectors = np.load("v.npz")["vectors"]
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_eval_without_titles(run: Callable[..., str]) -> None:
    printed = run("eval", "--model", "bm25", "--data", "world", "--no-titles", "--json", "a.json")
    assert printed.startswith("world, no titles, test: 120 documents")
    assert json.loads(Path("a.json").read_text())["data"] == "world, no titles"


def test_eval_on_all_that_is_here(
    run: Callable[..., str], fails: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("contriever_lite.survey.local_collections", lambda: ["tiny", "./world"])
    printed = run("eval", "--model", "bm25", "--data", "all", "--json", "all.json").splitlines()
    assert printed[0].startswith("bm25: 2 collections, ")
    assert [line.split(",")[0] for line in printed[2:]] == ["tiny", "world"]
    found = json.loads(Path("all.json").read_text())
    assert list(found) == ["model", "seconds", "collections"]
    run("eval", "--model", "bm25", "--data", "world", "--json", "one.json")
    one = json.loads(Path("one.json").read_text())
    assert found["collections"][1]["scores"] == one["scores"]
    words = ["eval", "--model", "bm25", "--data", "all"]
    assert "--data all takes no" in fails(*words, "--trec-run", "x")
    assert "--data all takes no" in fails(*words, "--split", "dev")


def test_report_compares_systems(
    run: Callable[..., str], fails: Callable[..., str], trained: str
) -> None:
    for model, name in (("bm25", "a.json"), (trained, "b.json")):
        run("eval", "--model", model, "--data", "world", "--per-query", name)
    table = run("report", "--compare", "a.json", "b.json").splitlines()
    assert table[0].startswith("| collection | system | minus | measure | difference | p | Holm's")
    assert [line.split(" | ")[2:4] for line in table[2:]] == [
        ["bm25", name] for name in ("nDCG@10", "R@100", "MRR@10")
    ]
    assert "nothing to compare" in fails("report", "--compare", "a.json")
    assert "there is no c.json" in fails("report", "--compare", "a.json", "c.json")
    words = ["eval", "--model", "bm25", "--data", "world", "--per-query", "a.json"]
    assert "a.json exists already" in fails(*words)


def test_report_beside_the_paper(run: Callable[..., str], fails: Callable[..., str]) -> None:
    run("eval", "--model", "bm25", "--data", "world", "--json", "a.json")
    assert "no record is of a set" in fails("report", "--paper", "a.json")
    record = json.loads(Path("a.json").read_text())
    Path("a.json").write_text(json.dumps({**record, "data": "scifact", "class": "lexical"}))
    table = run("report", "--paper", "a.json")
    assert "| bm25 | run here | " in table
    assert "| Contriever | paper | 0.649 | 0.926 |" in table


def test_card(run: Callable[..., str], fails: Callable[..., str], trained: str) -> None:
    run("eval", "--model", trained, "--data", "world", "--json", "a.json")
    words = ["card", "--model", trained, "--out", "card", "--scores", "a.json"]
    assert run(*words).split() == ["card/README.md", "card/card.json"]
    assert "**world**, test: 120 documents" in Path("card/README.md").read_text()
    assert "README.md exists already" in fails(*words)


def test_fuse_two_runs(run: Callable[..., str], trained: str) -> None:
    for model, name in (("bm25", "a"), (trained, "b")):
        run("eval", "--model", model, "--data", "world", "--trec-run", name)
    words = ["fuse", "--data", "world", "--trec-run", "a", "--trec-run", "b"]
    files = ["--json", "fused.json", "--out", "fused.trec", "--per-query", "queries.json"]
    printed = run(*words, *files)
    assert len(json.loads(Path("queries.json").read_text())["per_query"]["ndcg@10"]) == 20
    found = json.loads(Path("fused.json").read_text())
    assert found["model"] == "fused"
    assert f"{found['scores']['ndcg@10']['mean']:.3f}" in printed
    fused, one, other = (read_run(name) for name in ("fused.trec", "a", "b"))
    for query in synthetic.world().queries:
        assert set(fused[query]) == set(one.get(query, {})) | set(other[query])


def test_fuse_with_weights(
    run: Callable[..., str], fails: Callable[..., str], trained: str
) -> None:
    for model, name in (("bm25", "a"), (trained, "b")):
        run("eval", "--model", model, "--data", "world", "--trec-run", name)
    words = ["fuse", "--data", "world", "--trec-run", "a", "--trec-run", "b", "--weights"]
    run(*words, "0.4", "0.6", "--out", "fused.trec")
    assert read_run("fused.trec") == weighted_fusion([read_run("a"), read_run("b")], [0.4, 0.6])
    for wrong in (["1"], ["1", "1", "1"], ["-1", "1"], ["0", "0"], ["nan", "1"]):
        message = fails(*words, *wrong)
        assert "allowed: 2 numbers, each 0 or more, not all 0" in message


def test_fuse_errors(fails: Callable[..., str], here: Path) -> None:
    words = ["fuse", "--data", "world", "--trec-run", "a", "--trec-run", "b"]
    assert "no file a" in fails(*words)
    assert "fuse needs two runs or more" in fails(*words[:5])
    (here / "a").write_text("only three columns\n")
    assert "a:1: 3 columns, wanted 6" in fails(*words)
    (here / "out").write_text("mine")
    assert "out exists already" in fails(*words, "--out", "out")
    assert (here / "out").read_text() == "mine"


def test_report_of_what_eval_wrote(run: Callable[..., str], fails: Callable[..., str]) -> None:
    Path("records").mkdir()
    run("eval", "--model", "bm25", "--data", "world", "--json", "records/a.json")
    for place in ("records", "records/a.json"):
        table = run("report", place)
        assert table.startswith("**world**, test: 120 documents, 20 queries")
        assert "| bm25 |" in table
    Path("records/bad.json").write_text("{}")
    assert "records/bad.json is not a recorded run" in fails("report", "records")
    assert "there is no nowhere" in fails("report", "nowhere")


def test_report_of_the_recorded_runs(
    run: Callable[..., str], fails: Callable[..., str], here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "data" / "runs").mkdir(parents=True)
    run("eval", "--model", "bm25", "--data", "world", "--json", "data/runs/a.json")
    monkeypatch.setattr("contriever_lite.registry.repository", lambda: here)
    assert run("report") == run("report", "data/runs")
    monkeypatch.setattr("contriever_lite.registry.repository", lambda: None)
    assert "name files or folders" in fails("report")


def test_export(run: Callable[..., str], fails: Callable[..., str], trained: str) -> None:
    assert run("export", "--model", trained, "--out", "exported") == "exported\n"
    assert (Path("exported") / "modules.json").is_file()
    assert "exported exists already" in fails("export", "--model", trained, "--out", "exported")
    assert "there is no folder nowhere" in fails("export", "--model", "nowhere", "--out", "new")
    found = run("search", "--model", "exported", "--data", "world", "--k", "5", QUERY)
    assert found == run("search", "--model", trained, "--data", "world", "--k", "5", QUERY)


def test_demo(
    run: Callable[..., str], fails: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo_module, "COLLECTION", "world")
    monkeypatch.setattr(demo_module, "preset", lambda name: synthetic.SMALL.replace(steps=2))
    assert "The model is in mine/model" in run("demo", "--out", "mine", "--json", "demo.json")
    found = json.loads(Path("demo.json").read_text())
    assert list(found) == ["seconds", "systems"]
    assert list(found["systems"]) == ["bm25", "dense", "fused"]


def fail_with(error: BaseException) -> Callable[..., None]:
    def command(arguments: object) -> None:
        raise error

    return command


def main_with(monkeypatch: pytest.MonkeyPatch, error: BaseException, *words: str) -> int:
    about, options = COMMANDS["report"][1:]
    monkeypatch.setitem(COMMANDS, "report", (fail_with(error), about, options))
    return main(["report", *words])


def test_which_errors_are_a_users(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for error in (DataError("bad data"), ConfigError("bad value"), OSError("disk full")):
        assert main_with(monkeypatch, error) == 1
        assert capsys.readouterr().err == f"contriever-lite: {error}\n"
    full = OSError(errno.ENOSPC, "No space left on device", "there")
    assert main_with(monkeypatch, full) == 1
    assert capsys.readouterr().err.startswith(f"contriever-lite: {full}. Make room, and")
    assert main_with(monkeypatch, KeyboardInterrupt()) == 130
    assert capsys.readouterr().err == "contriever-lite: stopped\n"
    with pytest.raises(ZeroDivisionError):
        main_with(monkeypatch, ZeroDivisionError("a defect shows its traceback"))
    with pytest.raises(DataError):
        main_with(monkeypatch, DataError("bad data"), "--debug")
