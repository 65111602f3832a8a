"""A made-up language with hidden structure, for the tests that train.

Each topic has words of its own, spelt at random, and a document uses half of them among words that
every topic shares. A query names words of the topic that its own document does not use. So nothing
spelt alike links the two, only that these words stand together in other documents.
"""

from functools import lru_cache

import numpy as np

from contriever_lite.collection import Collection
from contriever_lite.config import TrainConfig
from contriever_lite.corpus import Corpus, build_corpus
from contriever_lite.tokens import train_tokenizer

TOPICS, EACH = 12, 10  # documents: TOPICS * EACH
SMALL = TrainConfig(
    vocab_size=600,
    window=64,
    dimension=32,
    batch_size=32,
    steps=60,
    learning_rate=0.02,
    temperature=0.1,
    query_crop=(0.2, 0.6),
    key_crop=(0.2, 0.6),
)


@lru_cache
def world() -> Collection:
    """TOPICS * EACH documents, a query for each, and every document of its topic relevant."""
    rng = np.random.default_rng(7)
    syllables = [c + v for c in "bdfgklmnprstvz" for v in "aeiou"]
    words = rng.permutation([a + b for a in syllables for b in syllables if a != b])
    shared, topics = words[:20], words[20 : 20 + 12 * TOPICS].reshape(TOPICS, 12)
    corpus, queries, qrels = {}, {}, {}
    for topic, own in enumerate(topics):
        for number in range(EACH):
            chosen = rng.permutation(own)
            body = rng.permutation([*np.repeat(chosen[:6], 3), *rng.choice(shared, 12)])
            name = f"t{topic}n{number}"
            corpus[name] = {"title": str(chosen[0]), "text": " ".join(body)}
            queries[f"q-{name}"] = " ".join(chosen[6:10])
            qrels[f"q-{name}"] = {f"t{topic}n{other}": 1 for other in range(EACH)}
    return Collection("world", "test", corpus, queries, qrels)


@lru_cache
def corpus() -> Corpus:
    """The documents of `world`, tokenised."""
    tokenizer = train_tokenizer(world().texts(), SMALL.vocab_size)
    pairs = [(document["title"], document["text"]) for document in world().corpus.values()]
    return build_corpus(pairs, tokenizer)
