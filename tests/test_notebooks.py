"""Guards on the stored chapters: what comparing outputs (nbval) cannot see.

Each guard takes a notebook and returns its faults; each is shown here to find the fault it is for.
"""

import ast
import copy
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
import pytest
from chapter import BOOK, KERNEL, ROOT, SETUP, badge, normalise
from IPython.core.inputtransformer2 import TransformerManager
from nbclient import NotebookClient
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

CHAPTERS = sorted(BOOK.glob("*.ipynb"))
TAGS = {"hide-input", "hide-output", "hide-cell", "remove-input", "raises-exception"}
# Cells whose outputs nbval may ignore: chapter -> first line of the cell -> why.
IGNORED: dict[str, dict[str, str]] = {}
MAX_LINES, MAX_BYTES = 15, 1_000_000
MACHINE = re.compile(
    r"/(?:home|root|Users|tmp|work|mnt|private)/\S*|site-packages|[A-Z]:\\\\?Users"
)


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def outputs(notebook: NotebookNode) -> Iterator[tuple[NotebookNode, NotebookNode]]:
    return ((cell, out) for cell in code_cells(notebook) for out in cell.outputs)


def public_names() -> set[str]:
    """Functions and classes that the package defines for its users."""
    trees = (ast.parse(p.read_text("utf-8")) for p in (ROOT / "contriever_lite").glob("*.py"))
    defined = (node for tree in trees for node in tree.body)
    kinds = (ast.FunctionDef, ast.ClassDef)
    return {n.name for n in defined if isinstance(n, kinds) and not n.name.startswith("_")}


def syntax(notebook: NotebookNode) -> ast.Module:
    transform = TransformerManager().transform_cell
    return ast.parse("\n".join(transform(cell.source) for cell in code_cells(notebook)))


# The guards.


def execution(notebook: NotebookNode, name: str) -> list[str]:
    counts = [cell.execution_count for cell in code_cells(notebook)]
    if counts == list(range(1, len(counts) + 1)):
        return []
    return [f"cells were not run once each, in order: {counts}"]


def errors(notebook: NotebookNode, name: str) -> list[str]:
    return [
        f"stored error {out.ename}"
        for cell, out in outputs(notebook)
        if out.output_type == "error" and "raises-exception" not in cell.metadata.get("tags", [])
    ]


def warnings(notebook: NotebookNode, name: str) -> list[str]:
    return [
        f"text on stderr: {out.text[:80]}"
        for _, out in outputs(notebook)
        if out.output_type == "stream" and out.name == "stderr"
    ]


def tags(notebook: NotebookNode, name: str) -> list[str]:
    faults = []
    for cell in notebook.cells:
        ignored = cell.source.split("\n")[0] in IGNORED.get(name, {})
        allowed = TAGS | ({"nbval-ignore-output", "nbval-skip"} if ignored else set())
        faults += [
            f"tag {tag} not allowed" for tag in cell.metadata.get("tags", ()) if tag not in allowed
        ]
    return faults


def cell_length(notebook: NotebookNode, name: str) -> list[str]:
    lengths = (len(cell.source.splitlines()) for cell in code_cells(notebook))
    return [f"a cell of {lines} lines" for lines in lengths if lines > MAX_LINES]


def size(notebook: NotebookNode, name: str) -> list[str]:
    count = len(nbformat.writes(notebook).encode())
    return [f"{count} bytes"] if count > MAX_BYTES else []


def widgets(notebook: NotebookNode, name: str) -> list[str]:
    kinds = (kind for _, out in outputs(notebook) for kind in out.get("data", ()))
    state = ["widget state"] if "widgets" in notebook.metadata else []
    return state + [f"output of kind {kind}" for kind in kinds if "widget" in kind]


def form(notebook: NotebookNode, name: str) -> list[str]:
    """Badge, set-up cell and metadata are as `make run` leaves them."""
    if normalise(copy.deepcopy(notebook), name) == notebook:
        return []
    return [f"not in normal form: make run CHAPTER={name[:2]}"]


def exercises(notebook: NotebookNode, name: str) -> list[str]:
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    solutions = re.findall(r"\{solution(?:-start)?\}[^\n]*\n((?::[^\n]*\n)*)", text)
    faults = [] if re.search(r"\{exercise(?:-start)?\}", text) else ["no exercise"]
    faults += [] if solutions else ["no solution"]
    return faults + [
        "a solution is not hidden" for options in solutions if "dropdown" not in options
    ]


def redefinitions(notebook: NotebookNode, name: str) -> list[str]:
    tree, public = syntax(notebook), public_names()
    kinds = (ast.FunctionDef, ast.ClassDef)
    defined = {node.name for node in ast.walk(tree) if isinstance(node, kinds)}
    imported = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("contriever_lite")
        for alias in node.names
    }
    stores = (n for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store))
    assigned = {node.id for node in stores} & imported
    return [f"redefines {found}" for found in sorted((defined & public) | assigned)]


def machine_paths(notebook: NotebookNode, name: str) -> list[str]:
    texts = (str(out.get("text", "")) + str(out.get("data", "")) for _, out in outputs(notebook))
    return [f"path of a machine: {hit}" for text in texts for hit in MACHINE.findall(text)]


def alternative_texts(notebook: NotebookNode, name: str) -> list[str]:
    return [
        f"a figure without alternative text: {cell.source[:60]}"
        for cell, out in outputs(notebook)
        if any(kind.startswith("image/") for kind in out.get("data", ()))
        and not cell.metadata.get("mystnb", {}).get("image", {}).get("alt")
    ]


GUARDS = [
    execution,
    errors,
    warnings,
    tags,
    cell_length,
    size,
    widgets,
    form,
    exercises,
    redefinitions,
    machine_paths,
    alternative_texts,
]


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.__name__)
@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_chapter(path: Path, guard: Callable[[NotebookNode, str], list[str]]) -> None:
    assert guard(nbformat.read(path, as_version=4), path.name) == []


def test_there_are_chapters_and_the_contents_list_them() -> None:
    listed = re.findall(r"^ *- file: (\d\d_\w+)", (BOOK / "_toc.yml").read_text("utf-8"), re.M)
    assert listed == [path.stem for path in CHAPTERS]
    assert listed, "no chapter"


# The guards guard: a small chapter without a fault, and one fault at a time.

NAME = "99_example.ipynb"
EXERCISE = "```{exercise}\nAdd.\n```\n\n```{solution} x\n:class: dropdown\n\n3\n```"


@pytest.fixture(scope="module")
def example() -> NotebookNode:
    """A small chapter, executed."""
    cells = [
        new_markdown_cell(f"# Example\n\n{badge(NAME)}"),
        new_code_cell(SETUP),
        new_code_cell("score = 0.6314\nprint(f'nDCG@10 {score:.3f} after 2.5 s')"),
        new_code_cell("score > 0.5"),
        new_markdown_cell(EXERCISE),
    ]
    notebook = new_notebook(cells=cells, metadata={"kernelspec": KERNEL})
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    return normalise(notebook, NAME)


def png() -> NotebookNode:
    return new_output("display_data", data={"image/png": "aGVsbG8="})


def stderr() -> NotebookNode:
    return new_output("stream", name="stderr", text="FutureWarning")


def failure() -> NotebookNode:
    return new_output("error", ename="ValueError", evalue="", traceback=[])


def path_output() -> NotebookNode:
    return new_output("stream", name="stdout", text="saved in /root" + "/run")


def widget() -> NotebookNode:
    return new_output("display_data", data={"application/vnd.jupyter.widget-view+json": {}})


FAULTS: dict[str, tuple[Callable, Callable[[NotebookNode], object]]] = {
    "never run": (execution, lambda nb: nb.cells[2].update(execution_count=None)),
    "run twice": (execution, lambda nb: nb.cells[2].update(execution_count=7)),
    "error": (errors, lambda nb: nb.cells[2].outputs.append(failure())),
    "warning": (warnings, lambda nb: nb.cells[2].outputs.append(stderr())),
    "tag": (tags, lambda nb: nb.cells[2].metadata.update(tags=["nbval-skip"])),
    "long cell": (cell_length, lambda nb: nb.cells[2].update(source="1\n" * 16)),
    "big": (size, lambda nb: nb.cells[4].update(source="x" * MAX_BYTES)),
    "widget": (widgets, lambda nb: nb.cells[2].outputs.append(widget())),
    "widget state": (widgets, lambda nb: nb.metadata.update(widgets={})),
    "other set-up": (form, lambda nb: nb.cells[1].update(source="import os")),
    "no badge": (form, lambda nb: nb.cells[0].update(source="# Example")),
    "metadata": (form, lambda nb: nb.metadata.update(vscode={"interpreter": 1})),
    "no exercise": (exercises, lambda nb: nb.cells.pop(4)),
    "open": (exercises, lambda nb: nb.cells[4].update(source=EXERCISE.replace("dropdown", "tip"))),
    "definition": (redefinitions, lambda nb: nb.cells[3].update(source="def info_nce(): ...")),
    "assignment": (
        redefinitions,
        lambda nb: nb.cells[3].update(source="from contriever_lite.metrics import ndcg\nndcg = 1"),
    ),
    "path": (machine_paths, lambda nb: nb.cells[2].outputs.append(path_output())),
    "figure": (alternative_texts, lambda nb: nb.cells[2].outputs.append(png())),
}


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.__name__)
def test_guard_passes_a_good_chapter(guard: Callable, example: NotebookNode) -> None:
    assert guard(example, NAME) == []


@pytest.mark.parametrize("fault", FAULTS)
def test_guard_finds(fault: str, example: NotebookNode) -> None:
    guard, spoil = FAULTS[fault]
    spoilt = copy.deepcopy(example)
    spoil(spoilt)
    assert guard(spoilt, NAME) != []


def test_every_guard_is_shown_to_find_something() -> None:
    assert {guard for guard, _ in FAULTS.values()} == set(GUARDS)


def nbval(notebook: NotebookNode, folder: Path) -> tuple[int, str]:
    """Exit status and report of nbval on a notebook, with the settings of `make test`."""
    path = folder / "example.ipynb"
    nbformat.write(notebook, path)
    config = ROOT / "tests/nbval_sanitize.cfg"
    options = ["--nbval", "--nbval-current-env", "--nbval-sanitize-with", str(config)]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, str(path)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


def test_nbval_passes_the_stored_outputs(example: NotebookNode, tmp_path: Path) -> None:
    status, report = nbval(example, tmp_path)
    assert status == 0, report
    assert "3 passed" in report


@pytest.mark.parametrize(("cell", "before", "after"), [(2, "0.631", "0.632"), (3, "True", "False")])
def test_nbval_notices_a_changed_output(
    example: NotebookNode, tmp_path: Path, cell: int, before: str, after: str
) -> None:
    tampered = copy.deepcopy(example)
    output = tampered.cells[cell].outputs[0]
    stored = output if output.output_type == "stream" else output.data
    key = "text" if output.output_type == "stream" else "text/plain"
    assert before in stored[key]
    stored[key] = stored[key].replace(before, after)
    status, report = nbval(tampered, tmp_path)
    assert status == 1, report
    assert "1 failed, 2 passed" in report
