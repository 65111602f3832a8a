"""Export: a folder that sentence-transformers loads and encodes to the same vectors."""

from __future__ import annotations

import tempfile
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from tokenizers import Tokenizer
from tokenizers.processors import TemplateProcessing

from contriever_lite.checkpoint import Encoder
from contriever_lite.encoder import BagEncoder
from contriever_lite.errors import CheckpointError, ConfigError
from contriever_lite.files import new_folder
from contriever_lite.pretrained import wrap_tokenizer, write_pretrained
from contriever_lite.tokens import special_ids
from contriever_lite.transformer import TransformerEncoder

if TYPE_CHECKING:
    from torch import nn


def export(encoder: Encoder, tokenizer: Tokenizer, folder: str | Path) -> Path:
    """Write the folder: a bag as StaticEmbedding (a mean, which normalisation makes equal to a
    sum), a transformer as Transformer and Pooling. Raises CheckpointError for a bag that does not
    normalise, DataError if the folder exists, ConfigError without the package."""
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError as error:
        raise ConfigError(
            f"to write {folder} in its form takes a package more: pip install sentence-transformers"
        ) from error
    with new_folder(folder) as work, tempfile.TemporaryDirectory() as scratch:
        if isinstance(encoder, BagEncoder):
            parts = _bag(encoder, tokenizer)
        else:
            parts = _transformer(encoder, tokenizer, Path(scratch))
        score = "cosine" if encoder.normalise else "dot"
        SentenceTransformer(modules=parts, similarity_fn_name=score).save(str(work))
    return Path(folder)


def _bag(encoder: BagEncoder, tokenizer: Tokenizer) -> list[nn.Module]:
    if not encoder.normalise:
        raise CheckpointError(
            "a bag that sums without normalising has no equal in sentence-transformers, whose "
            "StaticEmbedding takes the mean; train with normalise=true to export"
        )
    static = _modules().StaticEmbedding(tokenizer, encoder.table().cpu().numpy())
    return [static, _modules().Normalize()]


def _transformer(
    encoder: TransformerEncoder, tokenizer: Tokenizer, scratch: Path
) -> list[nn.Module]:
    write_pretrained(encoder, tokenizer, scratch)
    framing = Tokenizer.from_str(tokenizer.to_str())
    if encoder.reading.specials:
        ids = special_ids(tokenizer)
        names = {tokenizer.id_to_token(number): number for number in (ids.cls, ids.sep)}
        cls, sep = names
        framing.post_processor = TemplateProcessing(
            single=f"{cls} $A {sep}", special_tokens=list(names.items())
        )
    wrap_tokenizer(framing, encoder.reading.longest).save_pretrained(scratch)
    transformer = _modules().Transformer(str(scratch), max_seq_length=encoder.reading.longest)
    pooling = _modules().Pooling(encoder.dimension, pooling_mode="mean")
    return [transformer, pooling, *([_modules().Normalize()] if encoder.normalise else [])]


def _modules() -> ModuleType:
    try:
        from sentence_transformers.sentence_transformer import modules
    except ImportError:  # before sentence-transformers 6
        from sentence_transformers import models as modules
    return modules
