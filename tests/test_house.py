"""The house rules that a machine can check: order, size, docstrings, what training may import."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

import contriever_lite

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "contriever_lite"

# A module imports only modules that stand before it.
ORDER = """
    errors files hashing settings config presets rng tokens corpus mixture sampling augment views
    batch distributed encoder dropout transformer cached loss diagnostics criterion key_queue ema
    objective mlm quantise pretrained checkpoint warm_start build
    table_adam optimizer precision memory hardware prefetch stop divergence circumstances journal
    state_files state fit estimate incidents train export retriever
    compressed records metrics beir beir_writer catalogue check unpack download convert
    wikipedia registry collection hub parquet documents vocabulary tokenising corpus_writer
    prepare trec flat_index search index_settings index_costs indexes truncation fusion
    sentence_encoder models
    encoded blocks significance analysis contrasts
    evaluate judge survey encode run_files runs
    dry_run inspect_batch report paper card sweep labels mining finetune finetune_run
    cross_encoder plots plots_search curves diagrams diagrams_training
    diagrams_retrieval
    demo options commands commands_training commands_evaluation commands_report parser cli
    exercises exercises_words exercises_vectors exercises_loss exercises_views exercises_negatives
    exercises_queue exercises_momentum exercises_transformer exercises_saving exercises_trust
    exercises_gpu exercises_ablations exercises_failures exercises_labels exercises_beir
""".split()
MODULES = sorted(path for path in PACKAGE.glob("*.py") if path.stem != "__init__")
HEAVY = ("bm25s", "datasets", "faiss", "matplotlib", "sentence_transformers")

Function = ast.FunctionDef | ast.AsyncFunctionDef
every_module = pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), path.name)


def own_imports(tree: ast.Module) -> Iterator[str]:
    """Modules of the package that a module imports, anywhere in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "write imports in full: from contriever_lite.x import y"
            if node.module == "contriever_lite":
                yield from (alias.name for alias in node.names if alias.name in ORDER)
            elif (node.module or "").startswith("contriever_lite."):
                yield node.module.split(".")[1]
        elif isinstance(node, ast.Import):
            names = (alias.name for alias in node.names)
            yield from (name.split(".")[1] for name in names if name.startswith("contriever_lite."))


def body_lines(function: Function) -> int:
    """Lines of a function, decorators and docstring apart."""
    lines = function.end_lineno - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function) is not None:
        lines -= first.end_lineno - first.lineno + 1
    return lines


@every_module
def test_every_module_has_its_place(path: Path) -> None:
    assert path.stem in ORDER, f"give {path.stem} its place in ORDER and in the plan of the package"


@every_module
def test_imports_only_modules_above(path: Path) -> None:
    above = set(ORDER[: ORDER.index(path.stem)])
    assert set(own_imports(parse(path))) - above == set()


@every_module
def test_module_under_200_lines(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) < 200


@every_module
def test_functions_under_30_lines(path: Path) -> None:
    functions = (node for node in ast.walk(parse(path)) if isinstance(node, Function))
    long = {f.name: body_lines(f) for f in functions if body_lines(f) >= 30}
    assert long == {}


@every_module
def test_public_names_have_docstrings(path: Path) -> None:
    tree = parse(path)
    public = [
        node
        for node in tree.body
        if isinstance(node, (Function, ast.ClassDef)) and not node.name.startswith("_")
    ]
    silent = [node.name for node in public if not ast.get_docstring(node)]
    assert ast.get_docstring(tree), "the module says in a sentence what it is"
    assert silent == []


@every_module
def test_functions_are_typed(path: Path) -> None:
    untyped = []
    for function in (node for node in ast.walk(parse(path)) if isinstance(node, Function)):
        arguments = function.args.posonlyargs + function.args.args + function.args.kwonlyargs
        named = [a for a in arguments if a.arg not in ("self", "cls")]
        if function.returns is None or any(a.annotation is None for a in named):
            untyped.append(f"{function.name}, line {function.lineno}")
    assert untyped == []


def test_training_imports_nothing_heavy() -> None:
    script = "import sys, contriever_lite.train; print(*sys.modules)"
    modules = subprocess.check_output([sys.executable, "-c", script], text=True, cwd=ROOT).split()
    assert "contriever_lite.train" in modules
    assert set(HEAVY) & set(modules) == set()


def test_versions_agree() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert str(citation["version"]) == contriever_lite.__version__
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    version = re.escape(contriever_lite.__version__)
    assert re.search(rf"^## (Unreleased|\[?{version})", changelog, re.MULTILINE)
    pyproject = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert 'attr = "contriever_lite.__version__"' in pyproject


def test_api_reference_shows_every_module_in_order() -> None:
    page = (ROOT / "book/api.md").read_text(encoding="utf-8")
    shown = re.findall(r"^\.\. automodule:: contriever_lite\.(\w+)$", page, re.MULTILINE)
    modules = [path.stem for path in MODULES if not path.stem.startswith("exercises")]
    assert shown == sorted(modules, key=ORDER.index)


def test_public_requirements_are_pinned() -> None:
    """Whatever pyproject.toml asks for, requirements.txt pins."""
    name = re.compile(r"^\s*\"?([A-Za-z0-9-]+)[=<>]", re.MULTILINE)
    loose = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    block = loose.split("dependencies = [")[1].split("]")[0]
    pinned = re.findall(
        r"^([A-Za-z0-9-]+)==", (ROOT / "requirements.txt").read_text("utf-8"), re.MULTILINE
    )
    assert {n.lower() for n in name.findall(block)} <= {n.lower() for n in pinned}


def test_the_project_speaks_of_itself_alone() -> None:
    """No path of anyone's machine in a tracked text file."""
    machine = re.compile(r"/(?:work|root)/|/home/[a-z]+/|/tmp/[a-z]+/")
    tracked = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if tracked.returncode:
        pytest.skip("not a git checkout")
    found = []
    for name in tracked.stdout.split("\0"):
        path = ROOT / name
        if not name or path == Path(__file__).resolve() or "mathjax" in path.parts:
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except (UnicodeDecodeError, FileNotFoundError):
            continue
        found += [f"{name}: {hit}" for hit in machine.findall(text)]
    assert found == []
