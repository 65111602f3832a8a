"""README.md tells the truth: its table comes from the records, its chapters and commands exist."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from contriever_lite.parser import parser
from contriever_lite.report import NAMES, read_records

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
RECORDS = sorted((ROOT / "data" / "runs").glob("*.json"))


def test_its_table_is_what_the_report_prints() -> None:
    check = [sys.executable, "scripts/readme_table.py", "--check"]
    done = subprocess.run(check, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "| BM25 | lexical |" in README


def test_it_lists_the_chapters_there_are() -> None:
    listed = re.findall(r"^\| (\d\d) \| (.+?) \|", README, re.MULTILINE)
    notebooks = sorted(path.name[:2] for path in (ROOT / "book").glob("[0-9][0-9]_*.ipynb"))
    assert [number for number, _ in listed] == notebooks


def test_its_files_exist_and_its_commands_parse() -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
    lines = re.findall(r"^ *\.venv/bin/contriever-lite (.+)$", README, re.MULTILINE)
    assert len(lines) >= 4
    for line in lines:
        words = [word.strip('"') for word in re.findall(r'"[^"]*"|\S+', line)]
        assert parser().parse_args(words).function


@pytest.mark.parametrize("record", read_records(RECORDS), ids=[path.stem for path in RECORDS])
def test_a_record_is_complete(record: dict) -> None:
    for key in ("commit", "versions", "device", "date", "command", "chosen_on", "seconds"):
        assert record.get(key) not in (None, ""), key
    assert record["command"].startswith("python scripts/record.py ")
    for measure in NAMES:
        score = record["scores"][measure]
        assert 0 <= score["low"] <= score["mean"] <= score["high"] <= 1
    if record["class"] in ("raw text", "structure"):
        assert record["config"]["seed"] == record["seed"]
        assert record["training_seconds"] >= 0
