"""Seals: a checkpoint is read only where it is, to the byte and the file, what its workers wrote."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from levo.training.checkpoints import FolderCheckpoints
from levo.training.engine import PlainEngine
from levo.training.seals import KEY_VARIABLE, CheckpointRefusedError, check_seals, seal


def _sealed(folder: Path, num_workers: int = 2) -> Path:
    """A checkpoint as Ray puts it together: each worker's files, sealed apart, in one folder."""
    for rank in range(num_workers):
        part = folder.with_name(f"{folder.name}-part-{rank}")
        (part / "state").mkdir(parents=True)
        (part / "state" / f"rank_{rank}.pt").write_bytes(bytes(range(64)) * (rank + 1))
        seal(part, rank, num_workers)
        for file in part.rglob("*.*"):
            place = folder / file.relative_to(part)
            place.parent.mkdir(parents=True, exist_ok=True)
            file.rename(place)
    return folder


def _flip(folder: Path) -> None:
    file = folder / "state" / "rank_1.pt"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(bytes(content))


def _link(folder: Path) -> None:
    file = folder / "state" / "rank_0.pt"
    elsewhere = folder.with_name("elsewhere.pt")
    file.rename(elsewhere)
    file.symlink_to(elsewhere)


def _lose(folder: Path) -> None:
    (folder / "state" / "rank_0.pt").unlink()


def _unseal(folder: Path) -> None:
    for file in folder.glob("seal-*"):
        file.unlink()


def _forget_a_worker(folder: Path) -> None:
    (folder / "seal-00001.json").unlink()
    (folder / "state" / "rank_1.pt").unlink()


def _claim(folder: Path) -> None:
    (folder / "state" / "more.pt").write_bytes(b"pickle")
    (folder / "seal-00002.json").write_text(json.dumps({"rank": 2, "num_workers": 3, "files": {}}))


_DEEDS: dict[str, tuple[Callable[[Path], object], str]] = {
    "a flipped bit": (_flip, "another state/rank_1.pt than was written"),
    "a file more": (lambda folder: (folder / "state" / "more.pt").write_bytes(b"x"), "state/more.pt, which no worker"),
    "a hidden file": (lambda folder: (folder / ".more.pt").write_bytes(b"x"), ".more.pt, which no worker"),
    "a file less": (_lose, "lacks state/rank_0.pt"),
    "a link": (_link, "the link rank_0.pt"),
    "a worker less": (_forget_a_worker, r"workers \[0\]"),
    "a worker more": (_claim, r"workers \[0, 1, 2\]"),
    "no seal": (_unseal, r"workers \[\]"),
    "half a seal": (lambda folder: (folder / "seal-00001.json").write_text('{"rank": 1'), "cannot be read"),
}


def test_what_the_workers_wrote_fits_its_seals(tmp_path: Path) -> None:
    check_seals(_sealed(tmp_path / "one", 1))
    check_seals(_sealed(tmp_path / "three", 3))
    seal(tmp_path / "one")
    check_seals(tmp_path / "one")


@pytest.mark.parametrize("deed", _DEEDS)
def test_what_was_changed_since_is_refused_by_name(tmp_path: Path, deed: str) -> None:
    act, reason = _DEEDS[deed]
    folder = _sealed(tmp_path / "step")
    act(folder)
    with pytest.raises(CheckpointRefusedError, match=f"{folder} .*{reason}"):
        check_seals(folder)


def test_with_a_key_new_digests_are_not_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, "the key of this team")
    folder = _sealed(tmp_path / "step", 1)
    check_seals(folder)
    monkeypatch.setenv(KEY_VARIABLE, "the key of another")
    with pytest.raises(CheckpointRefusedError, match="without the signature"):
        check_seals(folder)
    monkeypatch.delenv(KEY_VARIABLE)
    with pytest.raises(CheckpointRefusedError, match=f"is signed; expected its key in {KEY_VARIABLE}"):
        check_seals(folder)

    (folder / "seal-00000.json").unlink()
    (folder / "state" / "rank_0.pt").write_bytes(b"another")
    seal(folder)  # as somebody does who can write the folder and has no key
    check_seals(folder)
    monkeypatch.setenv(KEY_VARIABLE, "the key of this team")
    with pytest.raises(CheckpointRefusedError, match="without the signature"):
        check_seals(folder)


class _RecordingEngine(PlainEngine):
    """Has no model; writes a file, and remembers what it was asked to read."""

    def __init__(self) -> None:
        self.loaded: list[Path] = []

    def save(self, folder: Path) -> None:
        (folder / "state.pt").write_bytes(b"state")

    def load(self, folder: Path) -> None:
        self.loaded.append(folder)


def test_an_engine_is_not_asked_to_read_what_is_refused(tmp_path: Path) -> None:
    engine, checkpoints = _RecordingEngine(), FolderCheckpoints(tmp_path)
    checkpoints.save(engine, "phase", 3)
    assert checkpoints.load_latest(engine, "phase") == 3
    assert engine.loaded == [tmp_path / "step-00000003"]
    (tmp_path / "step-00000003" / "state.pt").write_bytes(b"State")
    with pytest.raises(CheckpointRefusedError):
        checkpoints.load_latest(engine, "phase")
    assert len(engine.loaded) == 1
