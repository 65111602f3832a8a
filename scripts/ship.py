"""Turn a finished run into a model folder that ships with the package: 8-bit vectors, and the
run's record beside them.

    python scripts/ship.py runs/wiki contriever_lite/models/wiki

The model card, README.md, is written by hand; the one that is in the folder stays.
"""

import argparse
import shutil
import tempfile
from pathlib import Path

from contriever_lite.errors import DataError
from contriever_lite.retriever import Retriever

FILES = ("model.safetensors", "config.json", "tokenizer.json")


def ship(run: Path, folder: Path) -> None:
    """Write the three files of the model and run.json; refuses to replace a model."""
    if any((folder / name).exists() for name in FILES):
        raise DataError(f"{folder} holds a model already; move it away first")
    with tempfile.TemporaryDirectory() as scratch:
        made = Retriever.load(run).save(Path(scratch) / "model", "int8")
        folder.mkdir(parents=True, exist_ok=True)
        for name in FILES:
            shutil.copyfile(made / name, folder / name)
    shutil.copyfile(run / "run.json", folder / "run.json")
    size = sum(file.stat().st_size for file in folder.iterdir())
    print(f"{folder}: {size:,} bytes")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    ship(arguments.run, arguments.folder)


if __name__ == "__main__":
    main()
