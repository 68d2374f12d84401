"""Saved models: read back equal, refused where changed, mistaken or foreign, and never half-written."""

import json
from pathlib import Path

import numpy as np
import pytest

from levo.codec.storage import StoredModel, load_stored, save_stored


def _model(value: float = 1.0, kind: str = "toy") -> StoredModel:
    return StoredModel(kind, {"width": 3, "names": ["a", "b"]}, {"weights": np.full((2, 3), value, np.float32)})


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    save_stored(_model(), tmp_path / "deep" / "model")
    loaded = load_stored(tmp_path / "deep" / "model", "toy")
    assert loaded.digest == _model().digest
    assert loaded.config == _model().config
    np.testing.assert_array_equal(loaded.arrays["weights"], _model().arrays["weights"])


def test_every_part_counts_in_the_digest() -> None:
    other_name = StoredModel("toy", _model().config, {"biases": _model().arrays["weights"]})
    other_config = StoredModel("toy", {"width": 4}, _model().arrays)
    models = [_model(), _model(2.0), _model(kind="other"), other_name, other_config]
    assert len({model.digest for model in models}) == len(models)


def test_a_model_replaces_an_earlier_one_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    save_stored(_model(1.0), folder)
    save_stored(_model(2.0), folder)
    assert load_stored(folder, "toy").digest == _model(2.0).digest
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    save_stored(_model(kind="other"), tmp_path / "other")
    with pytest.raises(ValueError, match="holds a other; expected a toy"):
        save_stored(_model(), tmp_path / "other")
    assert load_stored(tmp_path / "other", "other").digest == _model(kind="other").digest
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "song.txt").write_text("la")
    with pytest.raises(ValueError, match=r"holds no config\.json"):
        save_stored(_model(), tmp_path / "foreign")
    assert [path.name for path in (tmp_path / "foreign").iterdir()] == ["song.txt"]


def test_a_changed_file_and_an_empty_folder_are_refused(tmp_path: Path) -> None:
    save_stored(_model(), tmp_path / "model")
    path = tmp_path / "model" / "config.json"
    content = json.loads(path.read_text())
    content["config"]["width"] = 5
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"has digest .* its config\.json says"):
        load_stored(tmp_path / "model", "toy")
    with pytest.raises(ValueError, match=r"holds no config\.json; expected a saved toy"):
        load_stored(tmp_path, "toy")


def test_a_failed_write_leaves_the_earlier_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_stored(_model(), tmp_path / "model")

    def full_disk(*arguments: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr("levo.codec.storage.save_file", full_disk)
    with pytest.raises(OSError, match="No space left"):
        save_stored(_model(2.0), tmp_path / "model")
    assert load_stored(tmp_path / "model", "toy").digest == _model().digest
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
