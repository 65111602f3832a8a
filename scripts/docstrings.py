"""A Sphinx extension: the API reference shows docstrings as they are written.

They are maps in plain text: prose, and between it formulas and columns that spaces hold in shape.
Prose becomes paragraphs, with `names` as code; what has a shape keeps it.
"""

import re
from collections.abc import Iterator
from itertools import groupby

from sphinx.application import Sphinx


def kind(line: str) -> str:
    """Blank, shaped (indented, or with columns), or prose."""
    if not line.strip():
        return "blank"
    return "shaped" if line.startswith(" ") or "   " in line else "prose"


def as_text(line: str) -> str:
    """A line of prose in reStructuredText: `names` as code, everything else literally."""
    parts = line.split("`")
    if len(parts) % 2 == 0:
        return re.sub(r"([\\`*_|])", r"\\\1", line)
    parts[::2] = [re.sub(r"([\\*_|])", r"\\\1", part) for part in parts[::2]]
    parts[1::2] = [f"\\ ``{part}``\\ " if part.strip() == part else part for part in parts[1::2]]
    return "".join(parts)


def restructured(lines: list[str]) -> Iterator[str]:
    """The docstring in reStructuredText."""
    for what, group in groupby(lines, kind):
        if what == "prose":
            yield from ["", *map(as_text, group), ""]
        elif what == "shaped":
            yield from ["", ".. code-block:: none", "", *(f"    {line}" for line in group), ""]
        else:
            yield ""


def process(
    app: Sphinx, what: str, name: str, thing: object, options: object, lines: list[str]
) -> None:
    """Rewrite a docstring's lines in place."""
    lines[:] = list(restructured(lines))


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("autodoc-process-docstring", process)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
