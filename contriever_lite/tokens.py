"""Text to numbers: train or load a WordPiece tokenizer, and know its special ids.

A tokenizer is a `tokenizers.Tokenizer`: lower-cased, accents stripped, split on spaces and
punctuation, then cut greedily into the longest pieces of the vocabulary, as BERT does.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers
from tokenizers.decoders import WordPiece as WordPieceDecoder

from contriever_lite.errors import DataError

SPECIAL_NAMES = ("pad", "unk", "cls", "sep", "mask")
SPECIAL_TOKENS = (
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
)  # BERT's, and of our own vocabularies
AGAIN = r"(?m)\b(\w+)\b(?=.{1,2000}?\b\1\b)"  # a word that comes again within 2,000 characters
ROBERTA_TOKENS = ("<pad>", "<unk>", "<s>", "</s>", "<mask>")


@dataclass(frozen=True)
class SpecialIds:
    """The ids that a view must never crop into, delete or draw at random."""

    pad: int
    unk: int
    cls: int
    sep: int
    mask: int


def special_ids(tokenizer: Tokenizer) -> SpecialIds:
    """Look up the five special ids, by BERT's names or by RoBERTa's; a DataError names the one that
    the tokenizer lacks."""
    roberta = tokenizer.token_to_id(ROBERTA_TOKENS[-1]) is not None
    names = ROBERTA_TOKENS if roberta else SPECIAL_TOKENS
    found = {token: tokenizer.token_to_id(token) for token in names}
    missing = [token for token, number in found.items() if number is None]
    if missing:
        raise DataError(
            f"the tokenizer has no {', '.join(missing)}; it needs {', '.join(names)}. "
            "Train one (train_tokenizer) or load a BERT-style tokenizer."
        )
    return SpecialIds(*found.values())


@lru_cache(maxsize=2)
def ordinary_ids(tokenizer: Tokenizer) -> np.ndarray:
    """Sorted ids of the pieces that text is made of: all but special tokens and names in square
    brackets, as BERT's [unused1], ... (text itself is split at a bracket). Read-only."""
    pieces, added = tokenizer.get_vocab().items(), tokenizer.get_added_tokens_decoder()
    special = {number for number, token in added.items() if token.special}
    ids = np.array(sorted(n for piece, n in pieces if n not in special and not _in_brackets(piece)))
    ids.flags.writeable = False
    return ids


def _in_brackets(piece: str) -> bool:
    return len(piece) > 2 and piece[0] == "[" and piece[-1] == "]"


def table_size(tokenizer: Tokenizer) -> int:
    """V: rows of a table that has one for every id, the largest id + 1. A vocabulary may have gaps
    in its ids, and then fewer pieces than that."""
    return max(tokenizer.get_vocab().values(), default=-1) + 1


@lru_cache(maxsize=2)
def continuing_pieces(tokenizer: Tokenizer) -> np.ndarray:
    """(V,) bool: True for a piece that continues a word, as "##ing" does. Read-only.

    Raises DataError for a tokenizer that does not mark such pieces, being no WordPiece.
    """
    prefix = getattr(tokenizer.model, "continuing_subword_prefix", None)
    if not prefix:
        raise DataError(
            f"the tokenizer is a {type(tokenizer.model).__name__}, which does not mark pieces that "
            "continue a word; whole words need a WordPiece tokenizer"
        )
    pieces = tokenizer.get_vocab().items()
    continues = np.zeros(table_size(tokenizer), dtype=bool)
    continues[[number for piece, number in pieces if piece.startswith(prefix)]] = True
    continues.flags.writeable = False
    return continues


def train_tokenizer(texts: Iterable[str], vocab_size: int = 30_000, fewest: int = 1) -> Tokenizer:
    """Learn a WordPiece vocabulary from raw text (Wu et al. 2016, by the BPE merges of
    `tokenizers`). The same texts give the same vocabulary, in the same order, on every run.

    texts: gone through twice; an iterator, which can be so only once, is held in memory.
    vocab_size counts the special tokens and the alphabet, which always stay: with very few or
    very small texts the vocabulary may be smaller or a little larger. fewest: the alphabet leaves
    out characters that occur less often ([UNK] then): large texts hold thousands of those, and each
    would take two places, alone and as "##" + itself.
    """
    texts = list(texts) if isinstance(texts, Iterator) else texts
    tokenizer = _assemble(models.WordPiece(unk_token="[UNK]"))
    # The trainer numbers continuation characters in the order of a hash map, which differs from
    # run to run and decides ties between merges. Naming them all beforehand fixes the order.
    characters: Counter[str] = Counter()
    for text in texts:
        characters.update(text)
    normal: Counter[str] = Counter()
    for character, count in characters.items():
        for letter in tokenizer.normalizer.normalize_str(character):
            normal[letter] += count
    alphabet = sorted(c for c, n in normal.items() if n >= fewest and not c.isspace())
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocab_size,
        special_tokens=[*SPECIAL_TOKENS, *alphabet, *(f"##{c}" for c in alphabet)],
        show_progress=False,
        **({} if fewest <= 1 else {"limit_alphabet": len(alphabet)}),
    )
    tokenizer.train_from_iterator(texts, trainer)
    return _assemble(models.WordPiece(tokenizer.get_vocab(), unk_token="[UNK]"))


def _assemble(model: models.WordPiece) -> Tokenizer:
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = WordPieceDecoder()
    if tokenizer.get_vocab_size():
        tokenizer.add_special_tokens(list(SPECIAL_TOKENS))
    return reading_raw_text(tokenizer)


def reading_raw_text(tokenizer: Tokenizer) -> Tokenizer:
    """Make it read "[MASK]" in a text as a bracket and a word: a document is raw text, and only
    this package puts special ids among its tokens. The library does not save this setting."""
    tokenizer.encode_special_tokens = True
    return tokenizer


def counting_once(tokenizer: Tokenizer) -> Tokenizer:
    """A copy that reads each word of a text once: of a word that comes again within the next 2,000
    characters, only the last occurrence is cut into pieces. For a bag, where repetition misleads:
    a sum is otherwise ruled by the words that a text repeats most.

        "the cat and the other cat" -> and the other cat
    """
    copy = counting_all(tokenizer)
    steps = [copy.normalizer] if copy.normalizer else []
    copy.normalizer = normalizers.Sequence([*steps, normalizers.Replace(Regex(AGAIN), "")])
    return copy


def counting_all(tokenizer: Tokenizer) -> Tokenizer:
    """A copy without the step of `counting_once`, if it has it: it reads every word of a text. A
    corpus to train on is made with it, where the model to start from counts each word once."""
    saved = json.loads(tokenizer.to_str())
    steps = (saved["normalizer"] or {}).get("normalizers", [])  # of a sequence, which is flat
    others = [step for step in steps if step.get("pattern") != {"Regex": AGAIN}]
    if len(others) < len(steps):
        several = {"type": "Sequence", "normalizers": others}
        saved["normalizer"] = several if len(others) > 1 else others[0] if others else None
    return reading_raw_text(Tokenizer.from_str(json.dumps(saved)))


def load_tokenizer(source: str | Path) -> Tokenizer:
    """Load a `tokenizer.json` (the file, or a folder that holds it), or a tokenizer of the
    Hugging Face hub by name. Checks that the special ids are there; switches off the padding and
    truncation that such files often hold, for a document is its own tokens, all of them, and reads
    the name of a special token in a text as plain text."""
    path = Path(source)
    file = path / "tokenizer.json" if path.is_dir() else path
    try:
        tokenizer = (
            Tokenizer.from_file(str(file))
            if file.exists() or path.is_dir()
            else Tokenizer.from_pretrained(str(source))
        )
    except Exception as error:  # `tokenizers` raises bare Exception for every fault
        raise DataError(
            f"cannot load a tokenizer from {source}: {error}. Give a folder with tokenizer.json, "
            "that file, or a name on the Hugging Face hub (which needs a network)."
        ) from error
    special_ids(tokenizer)
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return reading_raw_text(tokenizer)
