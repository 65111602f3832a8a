"""Transformers in Hugging Face's format: read strictly, written so that others read them."""

from pathlib import Path

import numpy as np
import pytest
import synthetic
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoModel, AutoTokenizer, DistilBertConfig, DistilBertModel, RobertaConfig

from contriever_lite.build import new_encoder
from contriever_lite.checkpoint import load_encoder, save_encoder
from contriever_lite.config import TrainConfig
from contriever_lite.encoder import BagEncoder
from contriever_lite.errors import CheckpointError, ConfigError, DataError
from contriever_lite.pretrained import load_pretrained, longest, wrap_tokenizer
from contriever_lite.retriever import Retriever
from contriever_lite.rng import torch_stream
from contriever_lite.tokens import ROBERTA_TOKENS, ordinary_ids, special_ids
from contriever_lite.warm_start import load_start

CORPUS = synthetic.corpus()
TINY = TrainConfig(
    encoder="transformer", dimension=16, layers=2, heads=2, normalise=False, specials=True
)
TEXTS = ["bada dofa", "", "bada", "sofa " * 900, "ünïcode 漢字"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save_encoder(new_encoder(TINY, CORPUS), CORPUS.tokenizer, tmp_path / "model")


def test_what_is_saved_is_loaded(folder: Path) -> None:
    ours, (loaded, tokenizer) = new_encoder(TINY, CORPUS), load_encoder(folder)
    assert loaded.reading == ours.reading
    assert not loaded.training
    assert tokenizer.to_str() == CORPUS.tokenizer.to_str()
    before, after = ours.state_dict(), loaded.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    with pytest.raises(DataError, match="exists already"):
        save_encoder(ours, CORPUS.tokenizer, folder)
    with pytest.raises(ConfigError, match="precision = 'int8': choose one of float32"):
        save_encoder(ours, CORPUS.tokenizer, folder.with_name("other"), "int8")


def test_transformers_reads_it_to_the_same_vectors(folder: Path) -> None:
    ours = Retriever.load(folder).encode(["bada dofa"])[0]
    model, tokenizer = AutoModel.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    words = tokenizer("bada dofa", add_special_tokens=False)["input_ids"]
    ids = torch.tensor([[tokenizer.cls_token_id, *words, tokenizer.sep_token_id]])
    with torch.inference_mode():
        theirs = model(input_ids=ids).last_hidden_state[0].mean(0)
    np.testing.assert_allclose(ours, theirs.numpy(), atol=1e-5)


@pytest.mark.parametrize("normalise", [False, True])
def test_the_export_encodes_to_the_same_vectors(tmp_path: Path, normalise: bool) -> None:
    from sentence_transformers import SentenceTransformer

    ours = Retriever(new_encoder(TINY.replace(normalise=normalise), CORPUS), CORPUS.tokenizer)
    theirs = SentenceTransformer(str(ours.export(tmp_path / "export")), device="cpu")
    np.testing.assert_allclose(theirs.encode(TEXTS), ours.encode(TEXTS), atol=1e-5)
    assert theirs.similarity_fn_name == ("cosine" if normalise else "dot")


def test_a_folder_with_a_missing_or_misshapen_tensor_is_refused(folder: Path) -> None:
    file = folder / "model.safetensors"
    tensors = load_file(file)
    name = "encoder.layer.1.output.dense.weight"
    save_file({n: t for n, t in tensors.items() if n != name}, file, {"format": "pt"})
    with pytest.raises(CheckpointError, match=f"missing or misshapen {name}; copy the model again"):
        load_encoder(folder)
    save_file({**tensors, name: torch.zeros(3, 3)}, file, {"format": "pt"})
    with pytest.raises(CheckpointError, match=r"copy the model again|no model that"):
        load_encoder(folder)
    file.write_bytes(b"nothing")
    with pytest.raises(CheckpointError, match="no model that transformers can load"):
        load_encoder(folder)


def test_a_broken_reading_is_refused(folder: Path) -> None:
    (folder / "contriever_lite.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"contriever_lite.json: broken"):
        load_encoder(folder)


def test_a_name_that_nobody_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ConfigError) as error:
        load_start("no-such/model")
    for part in ("start = 'no-such/model'", "ship with the package are wiki", "Hugging Face hub"):
        assert part in str(error.value)


@pytest.mark.parametrize("kind", ["distilbert", "roberta"])
def test_other_architectures(tmp_path: Path, kind: str) -> None:
    """No pooler, no segment embeddings, other names of special tokens, positions from 2."""
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] if kind != "roberta" else ROBERTA_TOKENS
    vocabulary = {piece: n for n, piece in enumerate([*names, "bada", "dofa", "sofa"])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=names[1]))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.add_special_tokens(list(names))
    if kind == "roberta":
        config = RobertaConfig(vocab_size=8, hidden_size=16, num_hidden_layers=1, pad_token_id=1,
                               num_attention_heads=2, intermediate_size=8,
                               max_position_embeddings=22)  # fmt: skip
        model = AutoModel.from_config(config)
        assert longest(config) == 20
    else:
        model = DistilBertModel(DistilBertConfig(vocab_size=8, dim=16, hidden_dim=8, n_heads=2,
                                                 n_layers=1))  # fmt: skip
    model.save_pretrained(tmp_path)
    wrap_tokenizer(tokenizer, 20).save_pretrained(tmp_path)
    loaded, read = load_pretrained(tmp_path, dropout=0.0, normalise=True)
    assert special_ids(read).pad == 0
    assert ordinary_ids(read).tolist() == [5, 6, 7]
    vectors = Retriever(loaded, read).encode(["bada dofa", "sofa " * 50])
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 1], abs=1e-5)
    drops = [m.p for m in loaded.modules() if isinstance(m, torch.nn.Dropout)]
    assert drops
    assert set(drops) == {0.0}


def test_a_run_starts_from_it(folder: Path) -> None:
    config = TINY.replace(start=str(folder), normalise=True, dropout=0.25, specials=False)
    started, kept = new_encoder(config, CORPUS), new_encoder(TINY, CORPUS)
    assert all(
        torch.equal(a, b) for a, b in zip(started.parameters(), kept.parameters(), strict=True)
    )
    assert started.reading.normalise
    assert not started.reading.specials
    assert {m.p for m in started.modules() if isinstance(m, torch.nn.Dropout)} == {0.25}
    with pytest.raises(ConfigError, match="has other sizes: set dimension=16 layers=2"):
        new_encoder(config.replace(dimension=32, layers=3), CORPUS)
    with pytest.raises(ConfigError, match="is a transformer; set encoder=transformer"):
        new_encoder(TrainConfig(start=str(folder), dimension=16), CORPUS)


@pytest.mark.parametrize("dimension", [8, 24])
def test_a_transformer_starts_from_a_bags_words(tmp_path: Path, dimension: int) -> None:
    size = CORPUS.tokenizer.get_vocab_size()
    bag = BagEncoder(size, 16, generator=torch_stream(0, "test"))
    save_encoder(bag, CORPUS.tokenizer, tmp_path / "bag")
    config = TINY.replace(dimension=dimension, start=str(tmp_path / "bag"))
    words = new_encoder(config, CORPUS).model.get_input_embeddings().weight.detach()
    fresh = new_encoder(config.replace(start=""), CORPUS).model.get_input_embeddings().weight
    known = bag.vectors.detach() - bag.vectors.detach().mean(0)
    if dimension >= 16:  # a rotation: angles between words stay
        assert torch.equal(words[:, 16:], fresh[:, 16:])
        ratio = words[:, :16].norm(dim=1) / known.norm(dim=1)
        torch.testing.assert_close(ratio, ratio[0].expand_as(ratio), atol=1e-4, rtol=1e-3)
    assert float(words.std()) == pytest.approx(0.02, rel=0.2)
    gram, kept = words[:, :16] @ words[:, :16].T, known @ known.T
    alike = torch.corrcoef(torch.stack([gram.flatten(), kept.flatten()]))[0, 1]
    assert alike > (0.99 if dimension >= 16 else 0.7)


def test_a_model_saved_in_16_bits_trains_in_32(folder: Path) -> None:
    small = AutoModel.from_pretrained(folder).to(torch.bfloat16)
    small.save_pretrained(folder)
    assert load_file(folder / "model.safetensors").popitem()[1].dtype == torch.bfloat16
    loaded, _ = load_pretrained(folder)
    assert {weight.dtype for weight in loaded.parameters()} == {torch.float32}
