"""Put the tables of recorded runs into README.md, each between its two comments.

    python scripts/readme_table.py           write it
    python scripts/readme_table.py --check   fail if README.md does not hold it

The first comment of each says which records.
"""

import re
import sys
from pathlib import Path

from contriever_lite.report import overview, report

ROOT = Path(__file__).resolve().parents[1]
PLACE = re.compile(
    r"(<!-- table: contriever-lite report (--overview )?(.*?) -->\n).*?(<!-- end -->)", re.DOTALL
)


def with_table(text: str) -> str:
    """The README with its tables made anew from the records that their comments name."""

    def made(place: re.Match) -> str:
        files = sorted(file for pattern in place[3].split() for file in ROOT.glob(pattern))
        table = (overview if place[2] else report)(files)
        return f"{place[1]}\n{table}\n\n{place[4]}"

    return PLACE.sub(made, text)


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
