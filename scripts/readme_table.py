"""Put the table of recorded runs into README.md, between its two comments.

    python scripts/readme_table.py           write it
    python scripts/readme_table.py --check   fail if README.md does not hold it

The first comment says which records.
"""

import re
import sys
from pathlib import Path

from contriever_lite.report import report

ROOT = Path(__file__).resolve().parents[1]
PLACE = re.compile(r"(<!-- table: contriever-lite report (.*?) -->\n).*?(<!-- end -->)", re.DOTALL)


def with_table(text: str) -> str:
    """The README with its table made anew from the records that its comment names."""

    def table(place: re.Match) -> str:
        files = sorted(file for pattern in place[2].split() for file in ROOT.glob(pattern))
        return f"{place[1]}\n{report(files)}\n\n{place[3]}"

    return PLACE.sub(table, text)


def main() -> int:
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8")
    if "--check" not in sys.argv:
        readme.write_text(with_table(text), encoding="utf-8")
        return 0
    if with_table(text) != text:
        print("README.md and data/runs/ differ: run python scripts/readme_table.py")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
