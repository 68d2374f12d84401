"""A run's folder: whose it is, and which steps it remembers."""

from pathlib import Path

import pytest

from pipelines.flow.run_folder import ForeignFolderError, RunFolder


def step(folder: RunFolder, name: str, calls: list[str], inputs: object = None) -> bool:
    def act() -> dict[str, object]:
        calls.append(name)
        return {"made": name}

    record = folder.run_step(name, inputs, act, lambda: 0.0)
    assert record.result == {"made": name}
    return record.skipped


def test_a_step_that_is_done_is_skipped_by_the_next_run(tmp_path: Path) -> None:
    calls: list[str] = []
    assert not step(RunFolder(tmp_path / "run", {"seed": 0}), "render", calls)
    assert step(RunFolder(tmp_path / "run", {"seed": 0}), "render", calls)
    assert calls == ["render"]


def test_a_step_with_other_inputs_is_done_again(tmp_path: Path) -> None:
    calls: list[str] = []
    folder = RunFolder(tmp_path / "run", {})
    step(folder, "render", calls, inputs="one")
    assert not step(folder, "render", calls, inputs="another")
    assert calls == ["render", "render"]


def test_a_step_that_fails_is_not_remembered(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run", {})

    def fail() -> dict[str, object]:
        raise OSError("no space left on device")

    with pytest.raises(OSError, match="no space"):
        folder.run_step("render", None, fail, lambda: 0.0)
    calls: list[str] = []
    assert not step(folder, "render", calls)


def test_a_folder_of_another_run_is_refused_and_left_alone(tmp_path: Path) -> None:
    RunFolder(tmp_path / "run", {"seed": 0})
    before = (tmp_path / "run" / "run.json").read_bytes()
    with pytest.raises(ForeignFolderError, match="belongs to another run"):
        RunFolder(tmp_path / "run", {"seed": 1})
    assert (tmp_path / "run" / "run.json").read_bytes() == before


def test_a_folder_with_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(ForeignFolderError, match="not empty"):
        RunFolder(tmp_path, {})
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
