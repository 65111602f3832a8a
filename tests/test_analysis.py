"""Features of queries and groups by rule, on a collection small enough to count by hand."""

import pytest
from tokenizers import Tokenizer

from contriever_lite.analysis import (
    GROUPS,
    document_frequency,
    features,
    members,
    without_word,
)
from contriever_lite.beir import Collection
from contriever_lite.errors import ConfigError
from contriever_lite.tokens import train_tokenizer

TEXTS = {
    "d1": "cats purr",
    "d2": "cats and dogs purr and bark at night outside",
    "d3": "dogs bark",
    "d4": "",
}
QUERIES = {
    "plain": "purr, cats",
    "odd": "do dogs not like NASA in 1969, without quarks?",
    "stop": "what is it",
}
QRELS = {"plain": {"d1": 1, "d2": 2, "d3": 0}, "odd": {"d3": 1}, "stop": {"d4": 1}}


@pytest.fixture(scope="module")
def collection() -> Collection:
    corpus = {id_: {"title": "", "text": text} for id_, text in TEXTS.items()}
    return Collection("small", "test", corpus, QUERIES, QRELS)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train_tokenizer(TEXTS.values(), 60)


@pytest.fixture(scope="module")
def rows(collection: Collection, tokenizer: Tokenizer) -> dict[str, dict[str, float]]:
    return features(collection, tokenizer)


def test_words_of_the_query(rows: dict[str, dict[str, float]], tokenizer: Tokenizer) -> None:
    plain, odd = rows["plain"], rows["odd"]
    assert (plain["words"], plain["numbers"], plain["names"], plain["negations"]) == (2, 0, 0, 0)
    assert (odd["numbers"], odd["names"], odd["negations"]) == (1, 1, 2)
    longest = max(len(tokenizer.encode(w).ids) for w in ("quarks", "without", "nasa", "dogs"))
    assert odd["pieces"] == longest >= 3


def test_words_of_the_documents(rows: dict[str, dict[str, float]]) -> None:
    plain, odd = rows["plain"], rows["odd"]
    assert plain["rarest"] == 2 / 4  # purr and cat, each in two of four documents
    assert plain["unseen"] == 0
    assert odd["unseen"] == odd["words"] - 1  # all but dog
    assert plain["overlap"] == 1
    assert odd["overlap"] == 1 / odd["words"]
    mean = (2 + 6 + 2 + 0) / 4  # stop words apart; "outside" and "night" count
    assert plain["length"] == pytest.approx((2 / mean + 6 / mean) / 2)


def test_a_query_of_stop_words_and_an_empty_answer(rows: dict[str, dict[str, float]]) -> None:
    row = rows["stop"]
    assert row["rarest"] == 0 == row["length"] == row["overlap"]


def test_a_query_without_a_right_document_is_left_out(
    collection: Collection, tokenizer: Tokenizer
) -> None:
    less = Collection(
        "small", "test", collection.corpus, collection.queries, {**QRELS, "odd": {"d3": 0}}
    )
    assert features(less, tokenizer).keys() == {"plain", "stop"}


def test_members(rows: dict[str, dict[str, float]]) -> None:
    assert members("negation", rows) == {"odd"} == members("number", rows) == members("name", rows)
    assert "odd" in members("cut word", rows)
    assert members("unseen word", rows) >= {"odd"}
    assert members("rare word", rows) == set()
    assert members("other words", rows) == {"odd", "stop"}
    assert members("short answer", rows) == {"stop"}
    with pytest.raises(ConfigError, match="there is no group 'rare'; choose one of rare word"):
        members("rare", rows)


def test_each_group_can_be_entered_and_left() -> None:
    low = dict.fromkeys(
        ("rarest", "unseen", "numbers", "names", "negations", "pieces", "words", "overlap"), 0
    )
    high = dict.fromkeys(low, 9)
    for name, group in GROUPS.items():
        rows = [{**low, "length": 0.0}, {**high, "length": 3.0}, {**low, "rarest": 0.001,
                "length": 1.0}]  # fmt: skip
        assert {group.rule(row) for row in rows} == {True, False}, name


def test_without_word() -> None:
    frequency = document_frequency([["cat", "purr"], ["cat"], ["cat", "night"], ["purr"]])
    assert frequency == {"cat": 3, "purr": 2, "night": 1}
    text = "Cats purr, at night, Cats"
    assert without_word(text, frequency, "rarest") == "Cats purr, at Cats"
    assert without_word(text, frequency, "commonest") == "purr, at night,"
    assert without_word("all cats", frequency, "rarest") == "all cats"
    assert without_word("", frequency, "rarest") == ""
    with pytest.raises(ConfigError, match="allowed: rarest, commonest"):
        without_word(text, frequency, "longest")
