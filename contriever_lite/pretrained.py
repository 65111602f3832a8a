"""Transformers in Hugging Face's own format: read from its hub or a folder, written to a folder.

config.json, model.safetensors       as `transformers` writes them: AutoModel.from_pretrained reads
tokenizer.json, tokenizer_config.json
contriever_lite.json                 how texts are framed and pooled (transformer.Reading)
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from tokenizers import Tokenizer

from contriever_lite.errors import CheckpointError
from contriever_lite.tokens import SPECIAL_NAMES, load_tokenizer, special_ids
from contriever_lite.transformer import Reading, TransformerEncoder, set_dropout

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedTokenizerFast

READING = "contriever_lite.json"


def load_pretrained(
    source: str | Path, *, dropout: float | None = None, **reading: bool | int
) -> tuple[TransformerEncoder, Tokenizer]:
    """Any encoder that `AutoModel` reads, by the name of a folder or on the hub, and its tokenizer.

    dropout: every dropout probability of the model; None keeps its own. reading: settings of
    `transformer.Reading` that differ from the saved ones or, in a folder from elsewhere, from the
    paper's: [CLS] and [SEP], no normalisation, at most 512 tokens or what the model can take.
    Raises CheckpointError if there is no such model, or it lacks a tensor.
    """
    from transformers import AutoConfig, AutoModel

    try:
        config = AutoConfig.from_pretrained(source)
        if dropout is not None:
            set_dropout(config, dropout)
        with _quietly():
            model, found = AutoModel.from_pretrained(
                source, config=config, output_loading_info=True
            )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise CheckpointError(
            f"{source}: no model that transformers can load: {str(error).splitlines()[0]}. Give a "
            "folder, or a name on the Hugging Face hub (which needs a network the first time)."
        ) from error
    lacking = [name for name in found["missing_keys"] if "pooler" not in name]
    if lacking or found["mismatched_keys"]:
        wrong = [*lacking, *(str(key) for key in found["mismatched_keys"])]
        raise CheckpointError(f"{source}: missing or misshapen {', '.join(sorted(wrong)[:5])}; "
                              "copy the model again")  # fmt: skip
    model.pooler = None  # never used: the vectors are means
    model.float()  # as saved it may be in 16 bits, in which small updates round away
    tokenizer = load_tokenizer(source)
    settings = {"longest": longest(config), **_saved_reading(source), **reading}
    return TransformerEncoder(model, Reading.of(special_ids(tokenizer), **settings)), tokenizer


@contextmanager
def _quietly() -> Iterator[None]:
    """Without the library's bar and its report on tensors, which are looked at here; and without a
    draw from PyTorch's global generator for those that are missing."""
    from transformers.utils import logging

    level, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with torch.random.fork_rng([]):
            yield
    finally:
        logging.set_verbosity(level)
        if bar:
            logging.enable_progress_bar()


def longest(config: PretrainedConfig) -> int:
    """Tokens that a model can read: its positions, less those that RoBERTa's kind leaves unused,
    and 512 at most, the paper's length of a document in evaluation."""
    positions = getattr(config, "max_position_embeddings", 512)
    unused = (config.pad_token_id or 0) + 1 if "roberta" in config.model_type else 0
    return min(512, positions - unused)


def write_pretrained(encoder: TransformerEncoder, tokenizer: Tokenizer, work: Path) -> None:
    """Write the files into a folder that is there."""
    encoder.model.config.architectures = [type(encoder.model).__name__]
    encoder.model.config.save_pretrained(work)
    tensors = {name: t.contiguous() for name, t in encoder.model.state_dict().items()}
    save_file(tensors, work / "model.safetensors", metadata={"format": "pt"})
    wrap_tokenizer(tokenizer, encoder.reading.longest).save_pretrained(work)
    tokenizer.save(str(work / "tokenizer.json"))  # the wrapper's would cut and frame by itself
    reading = json.dumps({"format": 1, **asdict(encoder.reading)}, indent=1)
    (work / READING).write_text(reading + "\n", encoding="utf-8")


def wrap_tokenizer(tokenizer: Tokenizer, longest: int) -> PreTrainedTokenizerFast:
    """The tokenizer as `transformers` wants it, with the names of its special tokens."""
    from transformers import PreTrainedTokenizerFast

    ids = special_ids(tokenizer)
    names = {f"{name}_token": tokenizer.id_to_token(getattr(ids, name)) for name in SPECIAL_NAMES}
    copy = Tokenizer.from_str(tokenizer.to_str())
    return PreTrainedTokenizerFast(tokenizer_object=copy, model_max_length=longest, **names)


def _saved_reading(source: str | Path) -> dict[str, bool | int]:
    file = Path(source) / READING
    if not file.is_file():
        return {}
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
        known = {item.name: item.type for item in fields(Reading)}
        return {name: values[name] for name in known if name not in SPECIAL_NAMES}
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{file}: broken: {error!r}. Copy the model again.") from error
