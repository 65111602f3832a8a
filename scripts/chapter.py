"""Run a chapter from a clean start and store its outputs: python scripts/chapter.py 01

The chapter is written back in the one form that the tests ask for: the badge under its title and
the set-up cell as they are in every chapter, and no metadata that a machine left behind. When a
cell fails, the file stays as it was.
"""

import os
import sys
from pathlib import Path

import nbformat
import repository
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parent.parent
BOOK = ROOT / "book"
SETUP = (ROOT / "scripts/colab_cell.py").read_text(encoding="utf-8").strip()
SETUP_TAGS = ["hide-input"]
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
GPU = {"accelerator", "colab"}  # what asks Colab for a GPU; the other keys are noise
CELL_KEYS = {"tags", "mystnb"}


def badge(name: str) -> str:
    """The Markdown of the Colab badge of the chapter stored as book/name."""
    url = (
        f"https://colab.research.google.com/github/{repository.current(ROOT)}/blob/main/book/{name}"
    )
    return f"[![Open in Colab](_static/colab.svg)]({url})"


def normalise(notebook: NotebookNode, name: str) -> NotebookNode:
    """The notebook with badge and set-up cell in place and metadata stripped to the essential."""
    kept = {key: value for key, value in notebook.metadata.items() if key in GPU}
    notebook.metadata = NotebookNode(**kept, kernelspec=KERNEL, language_info={"name": "python"})
    notebook.nbformat_minor = 5
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number:02d}"
        cell.metadata = NotebookNode({k: v for k, v in cell.metadata.items() if k in CELL_KEYS})
    _open(notebook, name)
    return notebook


def _open(notebook: NotebookNode, name: str) -> None:
    title, setup = notebook.cells[:2]
    lines = [line for line in title.source.splitlines() if "colab.research.google.com" not in line]
    if not lines or not lines[0].startswith("# ") or setup.cell_type != "code":
        sys.exit(f"{name} must open with a cell '# Title' and then the code cell of the set-up.")
    rest = "\n".join(lines[1:]).strip()
    title.source = "\n\n".join(filter(None, [lines[0], badge(name), rest]))
    setup.source = SETUP
    setup.metadata = NotebookNode(tags=SETUP_TAGS)


def execute(notebook: NotebookNode) -> NotebookNode:
    """Run every cell in a fresh kernel, in the folder book, saying which cell is running."""
    total = len(notebook.cells)

    def announce(cell: NotebookNode, cell_index: int) -> None:
        print(f"\rcell {cell_index + 1} of {total}", end="", file=sys.stderr, flush=True)

    client = NotebookClient(
        notebook,
        timeout=300,
        kernel_name="python3",
        coalesce_streams=True,
        resources={"metadata": {"path": str(BOOK)}},
        on_cell_start=announce,
    )
    client.execute()
    print(file=sys.stderr)
    return notebook


def store(notebook: NotebookNode, path: Path) -> None:
    """Write the notebook beside its place, then move it there in one step."""
    nbformat.validate(notebook)
    draft = path.with_suffix(".ipynb.part")
    nbformat.write(notebook, draft)
    os.replace(draft, path)


def find(number: str) -> Path:
    """book/NN_name.ipynb of chapter NN."""
    found = sorted(BOOK.glob(f"{number}*.ipynb")) if number else []
    if len(found) != 1:
        names = ", ".join(path.name for path in sorted(BOOK.glob("*.ipynb"))) or "none yet"
        sys.exit(f"CHAPTER={number!r} names {len(found)} chapters, not one. There are: {names}.")
    return found[0]


def main() -> None:
    path = find(sys.argv[1] if len(sys.argv) == 2 else "")
    notebook = normalise(nbformat.read(path, as_version=4), path.name)
    try:
        store(normalise(execute(notebook), path.name), path)
    except CellExecutionError as error:
        sys.exit(f"\n{path.name} is unchanged: a cell failed.\n{error}")
    print(f"{path.name} is stored with its outputs.")


if __name__ == "__main__":
    main()
