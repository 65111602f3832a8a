"""What a run's folder says of it: config.json, its settings, and run.json, its record."""

import json
from pathlib import Path
from typing import Any

from contriever_lite.config import TrainConfig, from_dict
from contriever_lite.errors import CheckpointError


def read_config(run: str | Path) -> TrainConfig:
    """The settings of a run, from its folder. Raises CheckpointError where they are missing or
    broken, and ConfigError for a setting that this version does not know or allow."""
    try:
        return from_dict(_object(Path(run) / "config.json"))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise CheckpointError(
            f"{run} is not a run: it has no config.json. Give a folder that `train --out` made."
        ) from error


def read_record(run: str | Path) -> dict[str, Any]:
    """The record of a run, from its folder or from the model folder in it; empty where there is
    none. Raises CheckpointError for a broken one."""
    for file in (Path(run) / "run.json", Path(run).resolve().parent / "run.json"):
        if file.is_file():
            return _object(file)
    return {}


def _object(file: Path) -> dict[str, Any]:
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckpointError(
            f"{file}: broken JSON: {error}. Copy the run's folder again."
        ) from error
    if not isinstance(values, dict):
        raise CheckpointError(
            f"{file}: {type(values).__name__} where an object {{...}} belongs. Copy the run's "
            "folder again."
        )
    return values
