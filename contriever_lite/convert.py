"""Read test collections in the formats of their authors, as BEIR's three parts.

    squad        one JSON file: articles, paragraphs, questions
    cranfield    SMART: cran.all.1400, cran.qry, cranqrel
    cacm         SMART: cacm.all, query.text, qrels.text
    feedbackqa   a JSON file per site and split: passages, examples

Each reader takes the folder of unpacked files and returns (corpus, queries, split -> judgements).
White space within a text becomes single spaces (SQuAD's texts are left as they are).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from contriever_lite.beir import Corpus, Judgements
from contriever_lite.errors import DataError

Parts = tuple[Corpus, dict[str, str], dict[str, Judgements]]

FIELD = re.compile(r"\.(I)\s+(\d+)\s*|\.([A-Z])\s*")
SITES = ("Australia", "CDC", "UK", "WHO")


def squad(folder: Path) -> Parts:
    """SQuAD 1.1: a paragraph is a document titled by its article, each question its query."""
    corpus, queries, qrels = {}, {}, {}
    path = one_file(folder, "*.json")
    for article in load_json(path, "data"):
        for paragraph in article["paragraphs"]:
            id_ = f"p{len(corpus)}"
            title = article["title"].replace("_", " ")
            corpus[id_] = {"title": title, "text": paragraph["context"]}
            for question in paragraph["qas"]:
                queries[question["id"]] = question["question"]
                qrels[question["id"]] = {id_: 1}
    return corpus, queries, {"test": qrels}


def cranfield(folder: Path) -> Parts:
    """Cranfield 1400. The text repeats the title, which is cut off.

    Queries are numbered 1 to 225 in their order, as the judgements count them, not by their own
    numbers. Every judged pair counts as relevant: the codes (1 best to 4, and -1) are no grades.
    """
    corpus = {}
    for id_, fields in smart_records(one_file(folder, "cran.all.1400")):
        title, text = fields.get("T", ""), fields.get("W", "")
        corpus[id_] = {"title": title, "text": text.removeprefix(title).strip()}
    questions = smart_records(one_file(folder, "cran.qry"))
    queries = {str(n): fields.get("W", "") for n, (_, fields) in enumerate(questions, start=1)}
    return corpus, queries, {"test": pairs(one_file(folder, "cranqrel"))}


def cacm(folder: Path) -> Parts:
    """CACM: titles, and abstracts where there are any; 52 of the 64 queries are judged."""
    corpus = {
        id_: {"title": fields.get("T", ""), "text": fields.get("W", "")}
        for id_, fields in smart_records(one_file(folder, "cacm.all"))
    }
    asked = smart_records(one_file(folder, "query.text"))
    queries = {id_: fields.get("W", "") for id_, fields in asked}
    return corpus, queries, {"test": pairs(one_file(folder, "qrels.text"))}


def feedbackqa(folder: Path) -> Parts:
    """FeedbackQA: passages of four sites pooled; splits train, valid and test."""
    corpus, queries, qrels = {}, {}, {}
    for split in ("train", "valid", "test"):
        for site in SITES:
            path = one_file(folder, f"{site}/{split}.json")
            for passage in load_json(path, "passages"):
                reference = passage["reference"]
                titles = [reference["page_title"], *(reference["section_headers"] or [])]
                corpus.setdefault(f"{site}-{passage['passage_id']}", {
                    "title": tidy(" - ".join(title for title in titles if title)),
                    "text": tidy(reference["section_content"] or ""),
                })  # fmt: skip
            for example in load_json(path, "examples"):
                id_ = f"{site}-{split}-{example['id']}"
                queries[id_] = tidy(example["question"])
                document = f"{site}-{example['passage_id']}"
                qrels.setdefault(split, {})[id_] = {document: 1}
    return dict(sorted(corpus.items(), key=by_site)), queries, qrels


CONVERTERS: dict[str, Callable[[Path], Parts]] = {
    "squad": squad,
    "cranfield": cranfield,
    "cacm": cacm,
    "feedbackqa": feedbackqa,
}


def convert(name: str, folder: Path) -> Parts:
    """Read `folder` in the format `name` (a key of CONVERTERS); DataError if it is not of it."""
    try:
        return CONVERTERS[name](folder)
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{folder} is not in the format {name!r} as known: {error!r}") from error


def by_site(item: tuple[str, dict[str, str]]) -> tuple[str, int]:
    """Sort key of SITE-NUMBER: the site, then the number as a number."""
    site, _, number = item[0].rpartition("-")
    return site, int(number)


def tidy(text: str) -> str:
    """Single spaces for every run of white space; none at the ends."""
    return " ".join(text.split())


def one_file(folder: Path, name: str) -> Path:
    """The one file of that name, at whatever depth; other formats of copying hide it in folders."""
    found = sorted(folder.rglob(name))
    if len(found) != 1:
        raise DataError(f"{len(found)} files {name} where one belongs: the archive has changed")
    return found[0]


def load_json(path: Path, key: str) -> list[dict]:
    """The list under `key` of a JSON object; DataError if there is none."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{path}: not JSON ({error})") from error
    if not isinstance(value, dict) or not isinstance(value.get(key), list):
        raise DataError(f"{path}: no list {key!r}: the format has changed")
    return value[key]


def smart_records(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Records of a SMART file: (id without leading zeros, field letter -> text).

    A record begins with ".I NUMBER"; a line of a dot and one capital begins a field.
    """
    id_, letter, fields = "", "", {}
    for number, line in enumerate(path.read_text(encoding="latin-1").splitlines(), start=1):
        match = FIELD.fullmatch(line)
        if match and match[1]:
            if id_:
                yield id_, {name: tidy(" ".join(lines)) for name, lines in fields.items()}
            id_, letter, fields = str(int(match[2])), "", {}
        elif match and id_:
            letter = match[3]
            fields.setdefault(letter, [])
        elif letter:
            fields[letter].append(line)
        elif line.strip():
            raise DataError(f"{path}:{number}: {line[:40]!r} before any field (.T, .W)")
    if not id_:
        raise DataError(f"{path}:1: no record (.I NUMBER)")
    yield id_, {name: tidy(" ".join(lines)) for name, lines in fields.items()}


def pairs(path: Path) -> Judgements:
    """Judgements "query document ...": every pair listed is relevant."""
    qrels: Judgements = {}
    for number, line in enumerate(path.read_text(encoding="latin-1").splitlines(), start=1):
        cells = line.split()
        if not cells:
            continue
        if len(cells) < 2 or not all(cell.isdigit() for cell in cells[:2]):
            raise DataError(f"{path}:{number}: {line[:40]!r} where query and document belong")
        qrels.setdefault(str(int(cells[0])), {})[str(int(cells[1]))] = 1
    if not qrels:
        raise DataError(f"{path}:1: no judgement")
    return qrels
