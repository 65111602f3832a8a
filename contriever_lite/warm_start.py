"""Start a bag from one that was trained on other text."""

from pathlib import Path

import torch
from tokenizers import Tokenizer

from contriever_lite.checkpoint import load_encoder
from contriever_lite.config import TrainConfig
from contriever_lite.corpus import Corpus
from contriever_lite.encoder import BagEncoder
from contriever_lite.errors import ConfigError
from contriever_lite.rng import torch_stream

SHIPPED = Path(__file__).parent / "models"
MUTE = -20.0  # a log-weight: e^-20 of a vector is nothing


def load_start(start: str) -> tuple[BagEncoder, Tokenizer]:
    """The model that a run starts from: one that ships with the package, by name, a model folder,
    or the folder of a run. Raises ConfigError where there is none."""
    shipped = sorted(path.name for path in SHIPPED.iterdir() if path.is_dir())
    folder = SHIPPED / start if start in shipped else Path(start)
    folder = folder / "model" if (folder / "model").is_dir() else folder
    if not folder.is_dir():
        raise ConfigError(
            f"start = {start!r}: there is no such folder, and the models that ship with the "
            f"package are {', '.join(shipped)}"
        )
    return load_encoder(folder)


def warm_start(config: TrainConfig, corpus: Corpus) -> BagEncoder:
    """The model config.start, and beside it fresh numbers for what its text did not teach.

        v_t = (known_t / mean_u |known_u|,  fresh_t) / sqrt(2),   fresh_t ~ N(0, 1 / F)

    config.dimension = D + F for the D dimensions of the model; with F = 0, v_t is the first part
    alone. The weights are the collection's own idf: what the other text taught about weights is
    worse. Raises ConfigError if D > config.dimension or the corpus has another tokenizer.
    """
    model, tokenizer = load_start(config.start)
    fresh = config.dimension - model.dimension
    if fresh < 0:
        raise ConfigError(
            f"dimension = {config.dimension}: {config.start} has {model.dimension} already; give "
            "as many or more"
        )
    if tokenizer.to_str() != corpus.tokenizer.to_str():
        raise ConfigError(
            f"the corpus was made by another tokenizer than start = {config.start!r}: prepare it "
            "with --tokenizer and that model's folder, or give the documents themselves"
        )
    vectors = model.vectors.detach() / model.vectors.norm(dim=1).mean()
    if fresh:
        generator = torch_stream(config.seed, "encoder")
        new = torch.randn(len(vectors), fresh, generator=generator) / fresh**0.5
        vectors = torch.cat([vectors, new], dim=1) / 2**0.5
    encoder = BagEncoder(len(vectors), config.dimension, normalise=config.normalise)
    with torch.no_grad():
        encoder.vectors.copy_(vectors)
    return encoder


def stop_word_ids(tokenizer: Tokenizer, language: str) -> list[int]:
    """The pieces that are a whole stop word: for English the 179 of NLTK's list, with the words of
    questions (what, how, should, I). Raises ConfigError for a language without a list."""
    from bm25s import stopwords

    names = {name.rpartition("_")[2].lower(): name for name in vars(stopwords) if "WORDS_" in name}
    name = "STOPWORDS_EN_PLUS" if language == "english" else names.get(language)
    if name is None:
        known = sorted({"english", *names} - {"en", "plus"})
        raise ConfigError(f"stop_words = {language!r}: choose one of {', '.join(known)}")
    found = (tokenizer.token_to_id(word) for word in getattr(stopwords, name))
    return sorted(number for number in found if number is not None)
