"""Model folders: written whole or not at all, read strictly. A transformer's is Hugging Face's own
format (pretrained.py); a bag's is:

model.safetensors   the tensors, all of them and no others; as int8, vectors are rows and scales
config.json         what kind of encoder, its sizes, how it scores
tokenizer.json      the tokenizer it was trained with
"""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer

from contriever_lite.encoder import BagEncoder
from contriever_lite.errors import CheckpointError, ConfigError
from contriever_lite.files import new_folder
from contriever_lite.pretrained import load_pretrained, write_pretrained
from contriever_lite.quantise import dequantise, quantise
from contriever_lite.tokens import load_tokenizer, table_size
from contriever_lite.transformer import TransformerEncoder

FORMAT = 1
PRECISIONS = ("float32", "int8")
SETTINGS = {"vocab_size": int, "dimension": int, "normalise": bool}
SHIPPED = Path(__file__).parent / "models"

Encoder = BagEncoder | TransformerEncoder


def shipped() -> list[str]:
    """The names of the models that ship with the package."""
    return sorted(path.name for path in SHIPPED.iterdir() if path.is_dir())


def model_folder(name: str | Path) -> Path:
    """The folder that a model's name means: a folder of that name, else the model that ships with
    the package under it; of a run's folder, the model inside. Where there is neither, the name."""
    folder = Path(name)
    if not folder.is_dir() and str(name) in shipped():
        folder = SHIPPED / name
    return folder / "model" if (folder / "model").is_dir() else folder


def save_encoder(
    encoder: Encoder, tokenizer: Tokenizer, folder: str | Path, precision: str = "float32"
) -> Path:
    """Write a model folder. precision "int8" stores a bag's vectors in a quarter of the space
    (quantise.py). Raises DataError if the folder exists, ConfigError for another precision."""
    allowed = PRECISIONS if isinstance(encoder, BagEncoder) else PRECISIONS[:1]
    if precision not in allowed:
        raise ConfigError(f"precision = {precision!r}: choose one of {', '.join(allowed)}")
    with new_folder(folder) as work:
        if isinstance(encoder, TransformerEncoder):
            write_pretrained(encoder, tokenizer, work)
        else:
            _write_bag(encoder, tokenizer, work, precision)
    return Path(folder)


def _write_bag(encoder: BagEncoder, tokenizer: Tokenizer, work: Path, precision: str) -> None:
    config = {
        "format": FORMAT,
        "encoder": "bag",
        "vocab_size": len(encoder.vectors),
        "dimension": encoder.dimension,
        "normalise": encoder.normalise,
        "precision": precision,
    }
    tensors = {name: tensor.contiguous() for name, tensor in encoder.state_dict().items()}
    if precision == "int8":
        tensors["vectors"], tensors["scales"] = quantise(tensors["vectors"])
    save_file(tensors, work / "model.safetensors")
    tokenizer.save(str(work / "tokenizer.json"))
    (work / "config.json").write_text(json.dumps(config, indent=1) + "\n")


def load_encoder(folder: str | Path, dropout: float | None = None) -> tuple[Encoder, Tokenizer]:
    """Read a model folder, in evaluation mode. Every tensor must be there with its shape and, in a
    bag's, no other. dropout: a transformer's, None to keep its own.

    Raises CheckpointError naming the file and what is missing, unexpected or misshapen.
    """
    folder = Path(folder)
    config = _read_config(folder)
    if "model_type" in config:
        encoder, tokenizer = load_pretrained(folder, dropout=dropout)
        return encoder.eval(), tokenizer
    return _load_bag(folder, config)


def _load_bag(folder: Path, config: dict[str, Any]) -> tuple[BagEncoder, Tokenizer]:
    tokenizer = load_tokenizer(folder)
    if (size := table_size(tokenizer)) != config["vocab_size"]:
        raise CheckpointError(
            f"{folder}: the tokenizer has {size} pieces and the model "
            f"{config['vocab_size']}; they were not made together. Copy the model folder whole."
        )
    with torch.device("meta"):
        encoder = BagEncoder(
            config["vocab_size"], config["dimension"], normalise=config["normalise"]
        )
    expected = encoder.state_dict()
    if config.get("precision") == "int8":
        expected["vectors"] = expected["vectors"].to(torch.int8)
        expected["scales"] = expected["log_weights"]
    tensors = _read_tensors(folder, expected)
    if "scales" in tensors:
        tensors["vectors"] = dequantise(tensors["vectors"], tensors.pop("scales"))
    encoder.load_state_dict(tensors, assign=True)
    return encoder.eval(), tokenizer


def _read_config(folder: Path) -> dict[str, Any]:
    file = folder / "config.json"
    if not file.exists():
        hides = " It hides the model that ships with the package under this name: rename it."
        raise CheckpointError(
            f"{folder} is not a model folder: it has no config.json. Give the folder that "
            "`contriever-lite train --out` made, or its model/ folder."
            + (hides if str(folder) in shipped() else "")
        )
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckpointError(f"{file}: broken JSON: {error}. Copy the model again.") from error
    if isinstance(config, dict) and "model_type" in config:  # Hugging Face's
        return config
    found = (config.get("format"), config.get("encoder")) if isinstance(config, dict) else None
    if found != (FORMAT, "bag"):
        raise CheckpointError(
            f"{file}: (format, encoder) is {found}; this version reads {(FORMAT, 'bag')}"
        )
    if wrong := [name for name, kind in SETTINGS.items() if type(config.get(name)) is not kind]:
        raise CheckpointError(f"{file}: no good {', '.join(wrong)}; copy the model folder whole")
    return config


def _read_tensors(folder: Path, expected: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    file = folder / "model.safetensors"
    try:
        tensors = load_file(file)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{file}: cannot be read: {error}. Copy the model again.") from error
    wrong = [f"missing {name}" for name in expected.keys() - tensors.keys()]
    wrong += [f"unexpected {name}" for name in tensors.keys() - expected.keys()]
    wrong += [
        f"{name} is {_kind(tensors[name])} instead of {_kind(expected[name])}"
        for name in expected.keys() & tensors.keys()
        if _kind(tensors[name]) != _kind(expected[name])
    ]
    if wrong:
        raise CheckpointError(f"{file}: {'; '.join(sorted(wrong))}. Copy the model again.")
    return tensors


def _kind(tensor: torch.Tensor) -> str:
    return f"{tuple(tensor.shape)} {str(tensor.dtype).removeprefix('torch.')}"
