"""The parser of the command line: its commands, their options, what each stands for."""

import argparse
from typing import Any

from contriever_lite import (
    __version__,
    commands,
    commands_evaluation,
    commands_report,
    commands_training,
)
from contriever_lite.config import OBJECTIVES
from contriever_lite.mining import NEGATIVES
from contriever_lite.sentence_encoder import SCORES


def _option(*names: str, **settings: Any) -> tuple[tuple[str, ...], dict[str, Any]]:
    return names, settings


_MODEL = _option("--model", required=True, metavar="RUN|bm25|HF-NAME", help="what retrieves")
_DATA = _option("--data", required=True, metavar="NAME|DIR", help="a collection or BEIR folder")
_SPLIT = _option("--split", metavar="NAME", help="which judgements (default: test)")
_SCORE = _option("--score", choices=SCORES, help="for a model that does not say how it scores")
_DEVICE = _option("--device", metavar="NAME", help="what encodes: cpu (default), cuda, mps, ...")
_VECTORS = _option("--vectors", metavar="FOLDER", help="what encode --block made of the documents")
_JSON = _option("--json", metavar="FILE", help="write the scores as JSON too; replaces such a file")
_NEW = "written whole; must not exist yet"

ABOUT = "The command line: `contriever-lite COMMAND --help` says what each part takes."
COMMANDS = {
    "demo": (commands.demo, "train on raw text and compare with BM25, in about a minute", [
        _JSON,
        _option("--out", metavar="RUN", help="the run's folder (default: a free one in runs/)"),
    ]),
    "data": (commands.data, "list, fetch, describe and check test collections", [
        _option("action", choices=["list", "get", "info", "check"]),
        _option("name", nargs="?", help="a collection's name, or a folder to check"),
    ]),
    "prepare": (commands_training.prepare, "tokenise documents into a corpus on disk", [
        _option("source", nargs="+", metavar="SOURCE",
                help="JSON lines (also .gz .xz .bz2 .zst), parquet, a folder or 'pattern' of "
                "such, BEIR folder or name, hub:NAME:CONFIGURATION"),
        _option("--out", required=True, metavar="CORPUS", help=_NEW),
        _option("--tokenizer", default="train", metavar="NAME|DIR|train",
                help="a tokenizer to use, or learn one from the text (default)"),
        _option("--vocab-size", type=int, metavar="N",
                help="word pieces to learn (default 30000)"),
        _option("--vocab-characters", type=int, metavar="N",
                help="learn from the first N characters, of each source its share "
                "(default 200000000)"),
        _option("--fewest", type=int, metavar="N",
                help="learn no character that occurs less often (default 1)"),
        _option("--workers", type=int, default=1, metavar="N",
                help="processes that tokenise (default 1, with threads)"),
        _option("--text-field", default="text", metavar="NAME", help="field or column of the text"),
        _option("--title-field", default="title", metavar="NAME", help="and of the title, if any"),
        _option("--resume", action="store_true",
                help="go on with what was interrupted; same sources, same result"),
    ]),
    "train": (commands_training.train, "train a retriever on documents, without labels", [
        _option("--preset", default="laptop", metavar="NAME"),
        _option("--data", required=True, action="append", metavar="NAME|DIR|FILE|CORPUS",
                help="the documents; give it again for a mixture (--set mixture=...)"),
        _option("--out", required=True, metavar="RUN", help=_NEW),
        _option("--set", dest="settings", nargs="+", action="extend", default=[],
                metavar="key=value", help="change settings of the preset"),
        _option("--objective", metavar="NAME", choices=OBJECTIVES,
                help=f"short for --set objective=...: {', '.join(OBJECTIVES)}"),
        _option("--seed", type=int, metavar="N"),
        _option("--resume", action="store_true",
                help="go on with a run that was interrupted; same settings, same result"),
        _option("--keep", type=int, default=2, metavar="K",
                help="states to keep, the best apart (default 2)"),
        _option("--save-every", type=float, default=300, metavar="SECONDS",
                help="how often a state is saved (default 300)"),
        _option("--evaluate", metavar="NAME|DIR",
                help="score the encoder on this collection as it trains, and keep the best state"),
        _option("--evaluate-split", metavar="SPLIT",
                help="its judgements to use (default dev: to choose by a test is to train on it)"),
        _option("--evaluate-every", type=int, metavar="STEPS",
                help="also before the first and after the last step (default: those alone)"),
        _option("--tensorboard", action="store_true", help="write RUN/tensorboard too"),
        _option("--dry-run", action="store_true",
                help="show the settings, check that all is there, estimate memory and time; stop"),
    ]),
    "finetune": (commands_training.finetune, "teach a model a collection's labels", [
        _option("--model", required=True, metavar="RUN|wiki|HF-NAME", help="what to start from"),
        _DATA, _option("--out", required=True, metavar="RUN", help=_NEW),
        _option("--split", default="train", metavar="NAME",
                help="the judgements to learn from (default train)"),
        _option("--hold-out", type=float, default=0.1, metavar="SHARE",
                help="of the labels, to choose the best state by (default 0.1)"),
        _option("--every", type=int, default=10, metavar="STEPS",
                help="how often these are scored (default 10)"),
        _option("--negatives", choices=NEGATIVES, default=NEGATIVES[0],
                help="of the batch, or one mined for each query too, by BM25 or by itself"),
        _option("--set", dest="settings", nargs="+", action="extend", default=[],
                metavar="key=value", help="change settings, as learning_rate=0.003"),
        _option("--seed", type=int, metavar="N"),
    ]),
    "batch": (commands_training.batch, "show what a run reads at one step", [
        _option("--run", required=True, metavar="RUN", help="a run's folder, finished or not"),
        _option("--step", type=int, required=True, metavar="N", help="from 1, as the log counts"),
        _option("--data", action="append", metavar="NAME|DIR|FILE|CORPUS",
                help="the documents, if they have moved"),
        _option("--all", action="store_true", help="all pairs and all of each"),
    ]),
    "encode": (commands.encode, "turn documents into vectors (.npz: ids, vectors)", [
        _option("--model", required=True, metavar="RUN|HF-NAME", help="what makes the vectors"),
        _SCORE, _DEVICE,
        _option("--data", required=True, metavar="NAME|DIR|FILE|CORPUS", help="the documents"),
        _option("--out", required=True, metavar="VECTORS", help=_NEW),
        _option("--block", type=int, metavar="N",
                help="write a folder instead, with N documents in memory at a time"),
        _option("--resume", action="store_true", help="go on with a folder that was cut off"),
    ]),
    "search": (commands.search, "answer one query", [
        _MODEL, _DATA, _SCORE, _DEVICE, _VECTORS, _option("query"),
        _option("--k", type=int, default=10, metavar="N", help="how many answers (default 10)"),
    ]),
    "eval": (commands_evaluation.evaluate, "score a model on a collection", [
        _option("--model", required=True, metavar="RUN|bm25|HF-NAME|TREC-RUN",
                help="what retrieves; or a file of rankings that another tool wrote"),
        _option("--data", required=True, metavar="NAME|DIR|all",
                help="a collection, a BEIR folder, or all that are on this machine; cqadupstack "
                "is the mean of its forums"),
        _SPLIT, _JSON, _SCORE, _DEVICE, _VECTORS,
        _option("--qrels", metavar="FILE",
                help="judge a TREC-RUN by these judgements, TREC's or BEIR's, instead"),
        _option("--force-score", action="store_true",
                help="use --score against what the model says: a wrong number, to look at"),
        _option("--no-titles", action="store_true", help="search documents without their titles"),
        _option("--per-query", metavar="FILE", help=f"also write each query's scores; {_NEW}"),
        _option("--trec-run", metavar="FILE", help=f"also write the ranking; {_NEW}"),
        _option("--trec-qrels", metavar="FILE", help=f"also write the judgements; {_NEW}"),
    ]),
    "fuse": (commands_evaluation.fuse, "fuse runs by reciprocal rank, or by weighted scores", [
        _DATA, _SPLIT, _JSON,
        _option("--trec-run", dest="runs", action="append", required=True, metavar="FILE",
                help="give it twice or more"),
        _option("--weights", nargs="+", type=float, metavar="W",
                help="one for each run, in their order: fuse by min-max scores instead"),
        _option("--per-query", metavar="FILE", help=f"also write each query's scores; {_NEW}"),
        _option("--out", dest="trec_run", metavar="FILE",
                help=f"write the fused ranking; {_NEW}"),
    ]),
    "report": (commands_report.report,
               "tables of recorded runs, in Markdown; curves of trainings", [
        _option("runs", nargs="*", metavar="RUN",
                help="records, or folders of trainings (default: data/runs)"),
        _option("--data", metavar="NAME|DIR", help="score the states that a training kept"),
        _option("--overview", action="store_true", help="one table: a collection a line"),
        _option("--paper", action="store_true", help="records beside the paper's BEIR tables"),
        _option("--compare", nargs="+", metavar="FILE",
                help="files of eval --per-query: each minus the first, tested, Holm's correction"),
    ]),
    "card": (commands_report.card, "write a model's results card (README.md, card.json)", [
        _option("--model", required=True, metavar="RUN"),
        _option("--scores", nargs="+", default=[], metavar="FILE", help="what eval --json wrote"),
        _option("--licence", metavar="TEXT", help="under which the model is offered"),
        _option("--out", metavar="DIR", help="where to (default: the model's folder)"),
    ]),
    "export": (commands.export, "write a folder that SentenceTransformer loads", [
        _option("--model", required=True, metavar="RUN"),
        _option("--out", required=True, metavar="DIR", help=_NEW),
    ]),
}  # fmt: skip


def parser() -> argparse.ArgumentParser:
    """What reads the words of a command line."""
    top = argparse.ArgumentParser(prog="contriever-lite", description=ABOUT)
    top.add_argument("--version", action="version", version=__version__)
    chosen = top.add_subparsers(required=True, metavar="COMMAND")
    for name, (function, about, options) in COMMANDS.items():
        command = chosen.add_parser(name, help=about, description=about)
        command.set_defaults(function=function)
        for names, settings in options:
            command.add_argument(*names, **settings)
        command.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return top
