"""What may make a query hard: features of queries and of their answers, and groups of queries.

    rows = features(collection, tokenizer)      query id -> feature -> value
    members("rare word", rows)                  the queries of a group

A word is what BM25 counts as one (search.tokenize: stemmed, no stop words) unless said otherwise.
The groups were fixed before any score was looked at; what they mean is in GROUPS.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from tokenizers import Tokenizer

from contriever_lite.beir import Collection
from contriever_lite.errors import ConfigError
from contriever_lite.search import tokenize

Row = Mapping[str, float]
SURFACE = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*")
NEGATIONS = frozenset(
    "absence absent cannot fail failed fails failure lack lacking lacks neither never no none nor "
    "not unable without".split()
)


@dataclass(frozen=True)
class Group:
    """Some queries, by a rule on their features."""

    meaning: str
    rule: Callable[[Row], bool]


GROUPS = {
    "rare word": Group(
        "its rarest known word stands in at most 1 of 1,000 documents",
        lambda row: 0 < row["rarest"] <= 0.001,
    ),
    "unseen word": Group("a word stands in no document", lambda row: row["unseen"] > 0),
    "number": Group("a word with a digit", lambda row: row["numbers"] > 0),
    "name": Group("a capital letter after the first word", lambda row: row["names"] > 0),
    "negation": Group("not, no, without, lack, fail, ...", lambda row: row["negations"] > 0),
    "cut word": Group("a word that WordPiece cuts into 3 or more", lambda row: row["pieces"] >= 3),
    "long query": Group("8 words or more", lambda row: row["words"] >= 8),
    "short answer": Group(
        "right documents less than half as long as the mean document",
        lambda row: row["length"] < 0.5,
    ),
    "long answer": Group(
        "right documents at least twice as long as the mean document",
        lambda row: row["length"] >= 2,
    ),
    "other words": Group(
        "less than half of the query's words stand in its right documents",
        lambda row: row["overlap"] < 0.5,
    ),
}


def members(name: str, rows: Mapping[str, Row]) -> set[str]:
    """The queries of a group. Raises ConfigError for an unknown one."""
    if name not in GROUPS:
        raise ConfigError(f"there is no group {name!r}; choose one of {', '.join(GROUPS)}")
    return {query for query, row in rows.items() if GROUPS[name].rule(row)}


def document_frequency(documents: Iterable[Sequence[str]]) -> Counter[str]:
    """word -> the number of documents with it."""
    return Counter(word for words in documents for word in set(words))


def features(collection: Collection, tokenizer: Tokenizer) -> dict[str, dict[str, float]]:
    """query id -> feature -> value, for each query with a right document (grade above 0).

    words, numbers, names, negations: how many; rarest: share of the documents that have its rarest
    word that any has (0: none has one); unseen: words in no document; pieces: the most pieces that
    `tokenizer` cuts one of its words into; length: words of its right documents / mean of all
    documents; overlap: share of its different words in a right document. The last two are means
    over its right documents.
    """
    texts = tokenize(collection.texts(), collection.language)
    documents = dict(zip(collection.document_ids(), texts, strict=True))
    frequency, mean = document_frequency(texts), max(1.0, fmean(map(len, texts)))
    queries = tokenize(list(collection.queries.values()), collection.language)
    found = {}
    for (query, text), words in zip(collection.queries.items(), queries, strict=True):
        right = [documents[d] for d, grade in collection.qrels[query].items() if grade > 0]
        known = [frequency[word] for word in words if frequency[word]]
        if right:
            found[query] = {
                **_looks(text, tokenizer),
                "words": len(words),
                "rarest": min(known, default=0) / len(documents),
                "unseen": len(words) - len(known),
                "length": fmean(len(d) / mean for d in right),
                "overlap": fmean(_share(set(words), set(d)) for d in right),
            }
    return found


def _looks(text: str, tokenizer: Tokenizer) -> dict[str, float]:
    words = SURFACE.findall(text)
    cut = tokenizer.encode_batch([w for w in words if w.isalpha()], add_special_tokens=False)
    return {
        "numbers": sum(any(c.isdigit() for c in word) for word in words),
        "names": sum(word[0].isupper() and word != "I" for word in words[1:]),
        "negations": sum(w.lower() in NEGATIONS or w.lower().endswith("n't") for w in words),
        "pieces": max((len(encoding.ids) for encoding in cut), default=0),
    }


def _share(words: set[str], document: set[str]) -> float:
    return len(words & document) / len(words) if words else 0.0


def without_word(text: str, frequency: Mapping[str, int], which: str, language: str = "en") -> str:
    """The text without its rarest ("rarest") or its most common ("commonest") word among those that
    some document has, wherever it stands; the same text where there are not two such words."""
    if which not in ("rarest", "commonest"):
        raise ConfigError(f"which is {which!r}; allowed: rarest, commonest")
    parts = text.split()
    counts = {}
    for part, words in zip(parts, tokenize(parts, language) if parts else [], strict=True):
        if any(frequency.get(word, 0) for word in words):
            counts[part] = min(frequency[word] for word in words if frequency.get(word, 0))
    if len(set(counts)) < 2:
        return text
    gone = (min if which == "rarest" else max)(counts, key=counts.__getitem__)
    return " ".join(part for part in parts if part != gone)
