"""A run's folder: whose it is, and which steps it remembers."""

from pathlib import Path

import pytest

from pipelines.flow.resources import ResourceMonitor
from pipelines.flow.run_folder import BusyFolderError, ChangedStepError, ForeignFolderError, RunFolder, held_alone


def step(folder: RunFolder, name: str, calls: list[str], inputs: object = None) -> bool:
    def act() -> dict[str, object]:
        calls.append(name)
        return {"made": name}

    record = folder.run_step(name, inputs, act, ResourceMonitor())
    assert record.result == {"made": name}
    return record.skipped


def test_a_step_that_is_done_is_skipped_by_the_next_run(tmp_path: Path) -> None:
    calls: list[str] = []
    assert not step(RunFolder(tmp_path / "run", {"seed": 0}), "render", calls)
    assert step(RunFolder(tmp_path / "run", {"seed": 0}), "render", calls)
    assert calls == ["render"]


def test_a_step_with_other_inputs_is_refused_or_redone_where_nothing_rests_on_it(tmp_path: Path) -> None:
    calls: list[str] = []
    folder = RunFolder(tmp_path / "run", {})
    step(folder, "render", calls, inputs="one")
    with pytest.raises(ChangedStepError, match="'render' was done by another version"):
        step(folder, "render", calls, inputs="another")
    assert step(folder, "render", calls, inputs="one")
    folder.run_step("render", "another", lambda: {"made": "anew"}, ResourceMonitor(), may_redo=True)
    assert calls == ["render"]


def test_a_step_that_fails_is_not_remembered(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run", {})

    def fail() -> dict[str, object]:
        raise OSError("no space left on device")

    with pytest.raises(OSError, match="no space"):
        folder.run_step("render", None, fail, ResourceMonitor())
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


def test_two_commands_do_not_work_in_one_folder(tmp_path: Path) -> None:
    with held_alone(tmp_path), pytest.raises(BusyFolderError, match="another command is at work"):
        held_alone(tmp_path).__enter__()


def test_a_command_that_fails_leaves_the_folder_to_the_next(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="lost"), held_alone(tmp_path):
        raise KeyError("lost")
    with held_alone(tmp_path):
        pass


def test_a_step_keeps_the_memory_that_it_took_and_a_rerun_tells_it(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run", {})
    first = folder.run_step("render", None, dict, ResourceMonitor())
    again = RunFolder(tmp_path / "run", {}).run_step("render", None, dict, ResourceMonitor())
    assert first.peak_memory_bytes > 1 << 20
    assert again.peak_memory_bytes == first.peak_memory_bytes
