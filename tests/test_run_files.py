"""What a run's folder says of it, and what is said where it cannot be read."""

import json
from pathlib import Path

import pytest
import synthetic

from contriever_lite.errors import CheckpointError, ConfigError
from contriever_lite.run_files import read_config, read_record

QUICK = synthetic.SMALL.replace(steps=3)


def test_settings_that_cannot_be_read(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    for place in (tmp_path, tmp_path / "nowhere", Path(__file__)):
        with pytest.raises(CheckpointError, match=r"is not a run: it has no config.json\. Give a"):
            read_config(place)
    for content in ("", "{broken", "[1]", b"\xff"):
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        with pytest.raises(CheckpointError, match=r"config\.json: (broken JSON|list where)"):
            read_config(tmp_path)
    file.write_text('{"stepz": 3}')
    with pytest.raises(ConfigError, match="no setting 'stepz'; did you mean steps"):
        read_config(tmp_path)
    file.write_text(json.dumps(QUICK.to_dict()))
    assert read_config(str(tmp_path)) == QUICK


def test_a_record_is_found_from_the_model_in_the_run_too(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    assert read_record(tmp_path / "model") == {}
    (tmp_path / "run.json").write_text('{"source": "world"}')
    for place in (tmp_path, str(tmp_path / "model")):
        assert read_record(place) == {"source": "world"}


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff"])
def test_a_broken_record_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "run.json").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"run\.json: .* Copy the run's folder again"):
        read_record(tmp_path)
