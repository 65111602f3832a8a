"""Models by name, and what each declares: above all, how it scores.

    RUN, or a model folder     ours: its files say how it reads, pools and scores
    wiki                       the bag that ships with the package, where no folder is called so
    all-MiniLM-L6-v2, ...      sentence-transformers, by folder or by name: its files say so too
    facebook/contriever, ...   published encoders whose files do not: PUBLISHED says it, with source
    any other encoder          a folder, or a name on the Hugging Face hub: the mean of the last
                               layer, and a score that the user must state

A dot-product model scored by cosine, or the reverse, gives a figure that looks right and is not,
the commonest wrong number in the field: so a score is never guessed, and one that contradicts the
model is an error.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn, Protocol

import numpy as np
from tqdm import tqdm

from contriever_lite.checkpoint import model_folder
from contriever_lite.corpus import token_rows
from contriever_lite.errors import ConfigError
from contriever_lite.hardware import found_device
from contriever_lite.pretrained import READING, load_pretrained
from contriever_lite.retriever import Retriever
from contriever_lite.sentence_encoder import BLOCK, SCORES, SentenceEncoder, is_sentence_transformer
from contriever_lite.transformer import FirstToken, TransformerEncoder


@dataclass(frozen=True)
class Published:
    """An encoder whose own files do not say how it pools ("mean" or "first" token) and scores."""

    score: str
    source: str
    pooling: str = "mean"


_CONTRIEVER = "Izacard et al. 2022, section 3"
_SIMCSE = "README of princeton-nlp/SimCSE: [CLS] before the pooler for the unsupervised models"
PUBLISHED = {
    **dict.fromkeys(
        ("facebook/contriever", "facebook/contriever-msmarco", "facebook/mcontriever",
         "facebook/mcontriever-msmarco"), Published("dot", _CONTRIEVER)
    ),
    **dict.fromkeys(
        ("bert-base-uncased", "google-bert/bert-base-uncased"),
        Published("dot", f"{_CONTRIEVER}: where its training starts"),
    ),
    **dict.fromkeys(
        (f"princeton-nlp/unsup-simcse-{kind}"
         for kind in ("bert-base-uncased", "bert-large-uncased", "roberta-base", "roberta-large")),
        Published("cosine", _SIMCSE, "first"),
    ),
}  # fmt: skip


class TextEncoder(Protocol):
    """Anything that turns texts into vectors whose inner product is the score."""

    def encode(self, texts: Sequence[str]) -> np.ndarray: ...


def load_model(
    name: str, score: str | None = None, force: bool = False, device: str = "cpu"
) -> TextEncoder:
    """The encoder of a name (above), whose inner product is its score.

    score: "dot" or "cosine", for a model that does not say which. device: where it computes, such
    as "cuda"; the CPU unless asked, as a bag gains nothing elsewhere and a figure shall not depend
    on the GPU that happens to be there. Raises ConfigError where there is no such model or device,
    where nothing says how it scores, and where `score` contradicts what it declares unless force;
    CheckpointError for a broken model.
    """
    if score not in (None, *SCORES):
        raise ConfigError(f"score is {score!r}; allowed: {', '.join(SCORES)}")
    found_device(device)
    encoder, declared, source = _open(name, score, device)
    if not (score or declared):
        _refuse_silence(name)
    if score not in (None, declared) and declared and not force:
        raise ConfigError(
            f"{name} scores by {declared} ({source}); by {score} its figures would be wrong. Leave "
            "--score out, or add --force-score to see by how much."
        )
    _score_by(encoder, score or declared)
    return encoder


def _open(name: str, score: str | None, device: str) -> tuple[TextEncoder, str | None, str]:
    """The encoder, how it says that it scores (None: it does not), and where it says so."""
    folder = model_folder(name)
    if folder != Path(name) or _is_ours(folder):  # another: a run's model, or one that ships
        ours = Retriever.load(folder, device)
        return ours, "cosine" if ours.encoder.normalise else "dot", "so its folder says"
    if name in PUBLISHED:
        known = PUBLISHED[name]
        return _pretrained(name, known.pooling, device), known.score, known.source
    if is_sentence_transformer(name):
        encoder = SentenceEncoder(name, device)
        return encoder, encoder.declared, "so its own configuration says"
    _refuse_unknown(name)
    if score is None:
        _refuse_silence(name)
    return _pretrained(name, "mean", device), None, ""


def _is_ours(folder: Path) -> bool:
    """Is it a model folder that this package wrote?"""
    if (folder / READING).is_file():
        return True
    file = folder / "config.json"
    if not file.is_file() or (folder / "modules.json").is_file():
        return False
    try:
        return "model_type" not in json.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        return True  # Retriever.load says what is broken


def _refuse_unknown(name: str) -> None:
    """Raise ConfigError for a name that nobody has."""
    from transformers import AutoConfig

    try:
        AutoConfig.from_pretrained(name)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"no model {name!r}: neither a run's folder, nor bm25, nor a model that transformers "
            f"or sentence-transformers can load ({str(error).splitlines()[0]})"
        ) from error


def _refuse_silence(name: str) -> NoReturn:
    raise ConfigError(
        f"nothing says how {name} scores, and a guess would make a wrong number: add --score dot "
        "or --score cosine, whichever its authors train and evaluate it with"
    )


def _pretrained(name: str, pooling: str, device: str) -> Retriever:
    encoder, tokenizer = load_pretrained(name)
    if pooling == "first":
        encoder = FirstToken(encoder.model, encoder.reading)
    return Retriever(encoder.eval().to(device), tokenizer)


def _score_by(encoder: TextEncoder, score: str) -> None:
    """Make the inner product of an encoder's vectors this score."""
    if isinstance(encoder, SentenceEncoder):
        encoder.cosine = score == "cosine"
    elif isinstance(encoder.encoder, TransformerEncoder):
        reading = replace(encoder.encoder.reading, normalise=score == "cosine")
        encoder.encoder.reading = reading
    else:
        encoder.encoder.normalise = score == "cosine"


def cut_texts(encoder: TextEncoder, texts: Sequence[str]) -> tuple[int, int]:
    """(how many texts are longer than what the model reads, the tokens that it reads of each, with
    its special ones): what stands behind is cut off. (0, 0) for a bag, which reads everything."""
    if isinstance(encoder, SentenceEncoder):
        longest, lengths = encoder.longest, encoder.lengths
    elif isinstance(getattr(encoder, "encoder", None), TransformerEncoder):
        reading, tokenizer = encoder.encoder.reading, encoder.tokenizer
        longest = reading.longest

        def lengths(texts: Sequence[str]) -> list[int]:
            return (token_rows(texts, tokenizer).lengths + 2 * reading.specials).tolist()
    else:
        return 0, 0
    doubtful = [
        text for text in texts if len(text.encode()) + 2 > longest
    ]  # a token is a byte or more
    if not doubtful:
        return 0, 0
    starts = tqdm(range(0, len(doubtful), BLOCK), "long texts", leave=False, delay=2)
    found = (lengths(doubtful[start : start + BLOCK]) for start in starts)
    return sum(length > longest for block in found for length in block), int(longest)
