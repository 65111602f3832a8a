"""How a figure came about: settings, commit, versions, device, date."""

import platform
import shutil
import subprocess
from collections.abc import Iterable
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from contriever_lite.config import TrainConfig

LIBRARIES = ("contriever-lite", "torch", "tokenizers", "numpy", "faiss-cpu", "bm25s")


def circumstances(config: TrainConfig | None = None) -> dict[str, Any]:
    """What one needs to make a figure again: settings, commit, versions, device, date."""
    return {
        "config": config and config.to_dict(),
        "commit": commit(),
        "versions": {"python": platform.python_version(), **dict(_versions(LIBRARIES))},
        "device": device(),
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d"),
    }


def _versions(names: Iterable[str]) -> Iterable[tuple[str, str]]:
    for name in names:
        try:
            yield name, version(name)
        except PackageNotFoundError:
            continue


def commit() -> str | None:
    """The commit of the checkout this package runs from, "+" appended if files differ from it."""
    git = shutil.which("git")
    here = Path(__file__).parent
    if git is None:
        return None

    def ask(*words: str) -> str:
        done = subprocess.run([git, *words], cwd=here, capture_output=True, text=True, check=False)
        return done.stdout.strip()

    head = ask("rev-parse", "--short=12", "HEAD")
    return (head + ("+" if ask("status", "--porcelain", "--", ".") else "")) or None


def device() -> str:
    """The GPU's name, or the processor's with the number of threads in use."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        lines = cpuinfo.read_text().splitlines()
        name = next((s.split(":", 1)[1].strip() for s in lines if s.startswith("model name")), name)
    return f"{name}, {torch.get_num_threads()} threads"
