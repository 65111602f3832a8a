"""Start an encoder from one that was trained on other text."""

from dataclasses import replace

import torch
from tokenizers import Tokenizer
from torch import Tensor

from contriever_lite.checkpoint import Encoder, load_encoder, model_folder, shipped
from contriever_lite.config import TrainConfig
from contriever_lite.corpus import Corpus
from contriever_lite.encoder import BagEncoder
from contriever_lite.errors import CheckpointError, ConfigError
from contriever_lite.pretrained import load_pretrained
from contriever_lite.rng import torch_globals, torch_stream
from contriever_lite.tokens import counting_all, special_ids, table_size
from contriever_lite.transformer import Reading, TransformerEncoder, new_model

MUTE = -20.0  # a log-weight: e^-20 of a vector is nothing


def load_start(start: str, dropout: float | None = None) -> tuple[Encoder, Tokenizer]:
    """The model that a run starts from: a model folder, the folder of a run, one that ships with
    the package, by name, or a name on the Hugging Face hub; and the tokenizer that it reads with.
    dropout: a transformer's, None to keep its own. Raises ConfigError where there is none."""
    folder = model_folder(start)
    if folder.is_dir():
        return load_encoder(folder, dropout)
    try:
        return load_pretrained(start, dropout=dropout)
    except CheckpointError as error:
        raise ConfigError(
            f"start = {start!r}: there is no such folder, the models that ship with the package "
            f"are {', '.join(shipped())}, and the Hugging Face hub gave none ({error})"
        ) from error


def start_tokenizer(start: str) -> Tokenizer:
    """The tokenizer of a corpus to train from `start` with: the model's, reading every word of a
    text also where the model counts each once."""
    return counting_all(load_start(start)[1])


def warm_start(config: TrainConfig, corpus: Corpus) -> Encoder:
    """The encoder that config.start gives a run: a transformer as it is, a transformer whose word
    vectors are a bag's, or a bag and beside it fresh numbers for what its text did not teach:

        v_t = (sqrt(share) known_t / mean_u |known_u|,  sqrt(1 - share) fresh_t),
        known_t = V_t U diag(s)^-whiten,   fresh_t ~ N(0, 1 / F)

    V: the model's vectors; U: their principal axes, the eigenvectors of their covariance; s_k:
    their deviation along axis k; share, whiten: config.start_share, config.start_whiten. With
    whiten = 0, known = V (products are the same on any axes), with 1 no axis counts more than
    another. config.dimension = D + F for the D dimensions of the model; with F = 0, share is 1.
    The weights a_t are not taken over: they start anew, at the collection's own idf or, with
    idf_weights=false, at 1 (build.new_encoder); what the other text taught about them is worse.
    Raises ConfigError if sizes, kinds or tokenizers do not go together.
    """
    model, tokenizer = load_start(config.start, config.dropout)
    tokenizer = counting_all(tokenizer)
    _refuse_other_tokenizer(corpus.tokenizer, tokenizer, config.start)
    if isinstance(model, BagEncoder):
        if config.encoder == "bag":
            return _wider(model, config)
        return _on_words(model, new_transformer(config, tokenizer))
    if config.encoder == "bag":
        raise ConfigError(f"start = {config.start!r} is a transformer; set encoder=transformer")
    return _as_configured(model, config)


def _refuse_other_tokenizer(found: Tokenizer, wanted: Tokenizer, start: str) -> None:
    if found.to_str() == wanted.to_str():
        return
    if counting_all(found).to_str() == wanted.to_str():
        raise ConfigError(
            "the corpus was prepared with each word of a text once, as a model trained with "
            "once=true reads, and training needs them all: give the documents themselves"
        )
    raise ConfigError(
        f"the corpus was made by another tokenizer than start = {start!r}: prepare it with "
        "--tokenizer and that model's folder, or give the documents themselves"
    )


def _wider(model: BagEncoder, config: TrainConfig) -> BagEncoder:
    fresh = config.dimension - model.dimension
    if fresh < 0:
        raise ConfigError(
            f"dimension = {config.dimension}: {config.start} has {model.dimension} already; give "
            "as many or more"
        )
    vectors = model.vectors.detach()
    if config.start_whiten:
        vectors = whitened(vectors, config.start_whiten)
    vectors = vectors / vectors.norm(dim=1).mean()
    if fresh:
        generator = torch_stream(config.seed, "encoder")
        new = torch.randn(len(vectors), fresh, generator=generator) / fresh**0.5
        share = config.start_share
        vectors = torch.cat([share**0.5 * vectors, (1 - share) ** 0.5 * new], dim=1)
    encoder = BagEncoder(len(vectors), config.dimension, normalise=config.normalise)
    with torch.no_grad():
        encoder.vectors.copy_(vectors)
    return encoder


def whitened(vectors: Tensor, power: float = 1.0) -> Tensor:
    """Vectors (n, D) on their principal axes, largest first, each axis divided by its deviation to
    a power:

        V U diag(s)^-power,   cov(V) = U diag(s^2) U'

    With power 1 the covariance of the result is the identity, with 0 all products stay. An axis
    without deviation is left at its length.
    """
    variance, axes = torch.linalg.eigh(vectors.T.cov())
    variance, axes = variance.flip(0), axes.flip(1)
    flat = variance <= variance[0] * torch.finfo(vectors.dtype).eps * len(variance)
    return vectors @ axes * variance.masked_fill(flat, 1.0) ** (-power / 2)


def _on_words(bag: BagEncoder, encoder: TransformerEncoder) -> TransformerEncoder:
    """A new transformer, its word vectors the bag's on their own principal axes, scaled to the
    deviation that the model starts with; where it has more numbers than the bag, those stay."""
    words = encoder.model.get_input_embeddings().weight
    with torch.no_grad():
        known = whitened(bag.vectors - bag.vectors.mean(0), 0.0)[:, : words.shape[1]]
        words[:, : known.shape[1]] = known * (words.std() / known.std())
    return encoder


def _as_configured(encoder: TransformerEncoder, config: TrainConfig) -> TransformerEncoder:
    """The model as it is, reading and scoring as config says."""
    sizes = encoder.model.config
    found = {
        "dimension": sizes.hidden_size,
        "layers": sizes.num_hidden_layers,
        "heads": sizes.num_attention_heads,
    }
    wrong = [f"{name}={size}" for name, size in found.items() if getattr(config, name) != size]
    if wrong:
        raise ConfigError(f"start = {config.start!r} has other sizes: set {' '.join(wrong)}")
    changes = {"normalise": config.normalise, "specials": config.specials}
    encoder.reading = replace(encoder.reading, **changes)
    return encoder


def new_transformer(config: TrainConfig, tokenizer: Tokenizer) -> TransformerEncoder:
    """A BERT of the config's sizes with random weights, drawn from config.seed."""
    if config.dimension % config.heads:
        raise ConfigError(
            f"dimension = {config.dimension} with heads = {config.heads}: the dimension must be a "
            "multiple of the heads"
        )
    sizes = config.dimension, config.layers, config.heads, config.dropout
    with torch_globals(config.seed, "encoder", torch.device("cpu")):
        model = new_model(table_size(tokenizer), *sizes)
    changes = {"normalise": config.normalise, "specials": config.specials}
    return TransformerEncoder(model, Reading.of(special_ids(tokenizer), **changes))


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
