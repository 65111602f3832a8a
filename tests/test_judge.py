"""A judge: one collection for many encoders, with the scores that an evaluation gives."""

from dataclasses import replace

import synthetic
from tokenizers import Tokenizer

from contriever_lite.build import new_encoder
from contriever_lite.evaluate import evaluate_model
from contriever_lite.judge import Judge
from contriever_lite.retriever import retriever_for
from contriever_lite.train import train

CONFIG = synthetic.SMALL.replace(steps=6)


def test_it_reads_texts_as_the_setting_does() -> None:
    """With `once` words are counted once, so the texts are cut anew."""
    judge, corpus = Judge(synthetic.world()), synthetic.corpus()
    encoder = train(CONFIG, corpus)
    scores = [judge(encoder, corpus, CONFIG.replace(once=once)) for once in (False, True, False)]
    assert scores[0] == scores[2] != scores[1]


def test_it_leaves_self_matches_out_as_an_evaluation_does() -> None:
    world, corpus = synthetic.world(), synthetic.corpus()
    itself = {query: {"title": "", "text": text} for query, text in world.queries.items()}
    arguments = replace(world, corpus=world.corpus | itself, same_ids=True)
    encoder = new_encoder(CONFIG, corpus)
    expected = evaluate_model("bag", arguments, retriever_for(encoder, corpus.tokenizer, CONFIG))
    assert Judge(arguments)(encoder, corpus, CONFIG) == expected.per_query


def test_a_tokenizer_that_is_gone_lends_its_tokens_to_no_other() -> None:
    """A new object may get the address of one that was collected."""
    judge, encoder = Judge(synthetic.world()), new_encoder(CONFIG, synthetic.corpus())
    text, addresses = synthetic.corpus().tokenizer.to_str(), []
    for _ in range(20):
        corpus = replace(synthetic.corpus(), tokenizer=Tokenizer.from_str(text))
        judge(encoder, corpus, CONFIG)
        addresses.append(id(corpus.tokenizer))
        del corpus
    assert len(set(addresses)) == len(addresses)
