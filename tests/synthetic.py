"""A made-up language with hidden structure, for the tests that train.

Each topic has three groups of words, spelt at random. Half of its documents use groups A and C, the
other half B and C; a query uses B alone. So nothing in a query is spelt like a word of an A
document: that they belong together shows only in the company that both keep with C. Words that
every topic shares are strewn over all documents.
"""

import dataclasses
from functools import lru_cache

import numpy as np
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.pre_tokenizers import Whitespace

from contriever_lite.collection import Collection
from contriever_lite.config import TrainConfig
from contriever_lite.corpus import Corpus, build_corpus
from contriever_lite.tokens import SPECIAL_TOKENS, train_tokenizer

TOPICS, EACH = 10, 12  # documents: TOPICS * EACH
SMALL = TrainConfig(
    vocab_size=600,
    window=64,
    dimension=32,
    batch_size=32,
    steps=40,
    learning_rate=0.03,
    temperature=0.2,
    query_tokens=(1, 3),
    key_crop=(0.2, 0.6),
)


@lru_cache
def world() -> Collection:
    """All documents; for each topic two queries, to which all its documents are relevant."""
    rng = np.random.default_rng(7)
    syllables = [c + v for c in "bdfgklmnprstvz" for v in "aeiou"]
    words = rng.permutation([a + b for a in syllables for b in syllables if a != b])
    shared, topics = words[:20], words[20 : 20 + 12 * TOPICS].reshape(TOPICS, 3, 4)
    corpus, queries, qrels = {}, {}, {}
    for topic, (a, b, c) in enumerate(topics):
        for number in range(EACH):
            own = np.concatenate([b if number % 2 else a, c])
            body = rng.permutation([*rng.choice(own, 24), *rng.choice(shared, 8)])
            title = str(rng.choice(own))
            corpus[f"t{topic}n{number}"] = {"title": title, "text": " ".join(body)}
        for number in range(2):
            queries[f"q{topic}n{number}"] = " ".join(rng.choice(b, 3, replace=False))
            qrels[f"q{topic}n{number}"] = {f"t{topic}n{n}": 1 for n in range(EACH)}
    return Collection("world", "test", corpus, queries, qrels)


@lru_cache
def hidden() -> Collection:
    """The same queries over A documents only: not one shares a word with its query."""
    whole = world()
    kept = {id_: text for id_, text in whole.corpus.items() if int(id_.split("n")[1]) % 2 == 0}
    qrels = {q: {d: 1 for d in grades if d in kept} for q, grades in whole.qrels.items()}
    return dataclasses.replace(whole, name="hidden", corpus=kept, qrels=qrels)


@lru_cache
def corpus() -> Corpus:
    """The documents of `world`, tokenised."""
    tokenizer = train_tokenizer(world().texts(), SMALL.vocab_size)
    pairs = [(document["title"], document["text"]) for document in world().corpus.values()]
    return build_corpus(pairs, tokenizer)


def corpus_with_gaps() -> Corpus:
    """Two documents of a vocabulary whose ids, 0 to 40, have gaps: "sail" is 7 and "ferry" 40."""
    pieces = {
        **{name: number for number, name in enumerate(SPECIAL_TOKENS)},
        "sail": 7,
        "ferry": 40,
    }
    tokenizer = Tokenizer(WordPiece(pieces, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    return build_corpus([("ferry", "sail"), ("", "ferry ferry")], tokenizer)
