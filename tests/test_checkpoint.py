"""Model folders: what is saved is loaded, and nothing less, more or other."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import synthetic
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from contriever_lite import checkpoint
from contriever_lite.build import new_encoder
from contriever_lite.checkpoint import SHIPPED, load_encoder, model_folder, save_encoder
from contriever_lite.encoder import BagEncoder
from contriever_lite.errors import CheckpointError, ConfigError, DataError
from contriever_lite.models import load_model
from contriever_lite.quantise import dequantise, quantise
from contriever_lite.retriever import Retriever
from contriever_lite.rng import torch_stream
from contriever_lite.tokens import train_tokenizer
from contriever_lite.warm_start import load_start

FILES = {"model.safetensors", "config.json", "tokenizer.json"}


@pytest.fixture
def encoder() -> BagEncoder:
    size = synthetic.corpus().tokenizer.get_vocab_size()
    return BagEncoder(size, 8, normalise=False, generator=torch_stream(0, "test"))


@pytest.fixture
def folder(encoder: BagEncoder, tmp_path: Path) -> Path:
    return save_encoder(encoder, synthetic.corpus().tokenizer, tmp_path / "runs" / "model")


def refused(folder: Path, message: str, kind: type = CheckpointError) -> None:
    with pytest.raises(kind, match=message) as error:
        load_encoder(folder)
    assert str(folder) in str(error.value), "the error names the file"


def test_what_is_saved_is_loaded(encoder: BagEncoder, folder: Path) -> None:
    assert {path.name for path in folder.iterdir()} == FILES
    loaded, tokenizer = load_encoder(str(folder))
    assert {n: t.tolist() for n, t in loaded.state_dict().items()} == {
        n: t.tolist() for n, t in encoder.state_dict().items()
    }
    assert not loaded.normalise
    assert not loaded.training
    assert all(p.requires_grad and p.dtype == torch.float32 for p in loaded.parameters())
    assert tokenizer.to_str() == synthetic.corpus().tokenizer.to_str()


def test_eight_bits_take_a_quarter_and_are_loaded_as_what_they_stand_for(
    encoder: BagEncoder, folder: Path, tmp_path: Path
) -> None:
    small = save_encoder(encoder, synthetic.corpus().tokenizer, tmp_path / "small", "int8")
    sizes = [(place / "model.safetensors").stat().st_size for place in (small, folder)]
    assert sizes[0] < sizes[1] / 2, "the scales count here, with eight numbers a row"
    loaded, _ = load_encoder(small)
    assert torch.equal(loaded.vectors, dequantise(*quantise(encoder.vectors.detach())))
    assert torch.equal(loaded.log_weights, encoder.log_weights)
    with pytest.raises(ConfigError, match="precision = 'int4': choose one of float32, int8"):
        save_encoder(encoder, synthetic.corpus().tokenizer, tmp_path / "other", "int4")


def test_a_vocabulary_with_gaps_in_its_ids(tmp_path: Path) -> None:
    corpus = synthetic.corpus_with_gaps()
    made = new_encoder(synthetic.SMALL, corpus)
    assert len(made.vectors) == 41
    loaded, _ = load_encoder(save_encoder(made, corpus.tokenizer, tmp_path / "model"))
    assert torch.equal(loaded.vectors, made.vectors)


def test_a_name_is_a_folder_here_or_else_a_model_that_ships(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert model_folder("wiki") == SHIPPED / "wiki"
    assert model_folder("nowhere") == Path("nowhere")
    Path("wiki").mkdir()
    assert model_folder("wiki") == Path("wiki")
    with pytest.raises(CheckpointError, match=r"It hides the model that ships .*: rename it"):
        load_encoder("wiki")
    Path("wiki/model").mkdir()
    assert model_folder("wiki") == Path("wiki/model"), "of a run"


@pytest.mark.parametrize("load", [load_model, Retriever.load, lambda n: Retriever(*load_start(n))])
def test_one_name_is_one_model_however_it_is_loaded(
    load: Callable[[str], Retriever],
    encoder: BagEncoder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert load("wiki").encoder.dimension == 512
    save_encoder(encoder, synthetic.corpus().tokenizer, "wiki")
    assert load("wiki").encoder.dimension == encoder.dimension


def test_an_existing_folder_is_kept(encoder: BagEncoder, folder: Path) -> None:
    before = {path: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(DataError, match="exists already"):
        save_encoder(encoder, synthetic.corpus().tokenizer, folder)
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_an_interrupted_save_leaves_nothing(
    encoder: BagEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(tensors: dict[str, Tensor], path: Path) -> None:
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint, "save_file", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save_encoder(encoder, synthetic.corpus().tokenizer, tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("vectors"), "missing vectors"),
        (lambda t: t.update(more=torch.ones(1)), "unexpected more"),
        (
            lambda t: t.update(vectors=t["vectors"][:-1]),
            r"vectors is \(\d+, 8\) float32 instead of",
        ),
        (lambda t: t.update(log_weights=t["log_weights"].T.clone()), r"log_weights is \(1, "),
        (lambda t: t.update(vectors=t["vectors"].half()), "float16 instead of .* float32"),
        (
            lambda t: (t.pop("log_weights"), t.update(extra=torch.ones(2))),
            "missing log_weights; unexpected extra",
        ),
    ],
)
def test_every_tensor_must_be_there_as_it_was_and_no_other(
    folder: Path, change: Callable[[dict[str, Tensor]], object], message: str
) -> None:
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors")
    refused(folder, message)


@pytest.mark.parametrize("keep", [0, 5, 60, -1])
def test_a_truncated_file_is_refused(folder: Path, keep: int) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:keep])
    refused(folder, "model.safetensors: cannot be read: .* Copy the model again")


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises((CheckpointError, DataError), match=name):
        load_encoder(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 2}, r"is \(2, 'bag'\); this version reads \(1, 'bag'\)"),
        ({"encoder": "transformer"}, r"\(1, 'transformer'\); this version reads"),
        ({"format": None}, r"\(None, 'bag'\)"),
        ({"normalise": None}, "no good normalise; copy the model folder whole"),
        ({"dimension": "8", "vocab_size": 3.5}, "no good vocab_size, dimension"),
        ({"dimension": 9}, r"vectors is \(\d+, 8\) float32 instead of \(\d+, 9\) float32"),
        ({"vocab_size": 7}, "the tokenizer has .* pieces and the model 7"),
    ],
)
def test_other_settings_are_refused(folder: Path, changes: dict, message: str) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    refused(folder, message)


def test_a_setting_that_lacks_is_named(folder: Path) -> None:
    file = folder / "config.json"
    config = json.loads(file.read_text())
    del config["dimension"]
    file.write_text(json.dumps(config))
    refused(folder, "no good dimension")


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[1]", b"3"])
def test_settings_that_are_no_json_object_are_refused(folder: Path, content: bytes) -> None:
    (folder / "config.json").write_bytes(content)
    refused(folder, "config.json: ")


def test_a_tokenizer_of_another_size_is_refused(folder: Path) -> None:
    train_tokenizer(["another text"], 100).save(str(folder / "tokenizer.json"))
    refused(folder, "they were not made together")


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    refused(tmp_path, "is not a model folder: it has no config.json")
