"""Objects, snapshots and memory: whole or not there, whatever happens while they are written."""

import os
import re
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from levo.song.files import DiskError
from levo.song.schema import records_of, table_of
from levo.song.waveform import Waveform
from pipelines.flow.objects import ObjectError, ObjectReference, ObjectStore, as_stored
from pipelines.flow.outcomes import outcome_table, records_of_outcomes, refusals_of_outcomes
from pipelines.flow.snapshot import SnapshotError, SnapshotStore
from pipelines.flow.stage import Refusal
from pipelines.flow.stored import write_records

FILE_LIMIT_BYTES = 4096
SmallDisk = Callable[[int], AbstractContextManager[None]]


@dataclass(frozen=True, slots=True)
class Fruit:
    name: str
    weight_g: float | None


APPLES = [Fruit("apple", 120.0), Fruit("quince", None)]
MANY = [Fruit(f"{number:032x}", float(number)) for number in range(2000)]


def every_file(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file() and path.name != ".lock"}


def test_a_full_disk_leaves_the_snapshot_before(tmp_path: Path, small_disk: SmallDisk) -> None:
    store = SnapshotStore(tmp_path)
    before = store.publish({"fruit": table_of(APPLES, Fruit)}, {})
    files = every_file(tmp_path)
    with small_disk(FILE_LIMIT_BYTES), pytest.raises(DiskError, match=re.escape(f"cannot write {tmp_path}")):
        store.publish({"fruit": table_of(MANY, Fruit)}, {})
    assert every_file(tmp_path) == files
    assert store.current() == before
    assert records_of(store.publish({"fruit": table_of(MANY, Fruit)}, {}).table("fruit"), Fruit) == MANY


def test_a_guard_that_raises_publishes_nothing(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path)
    before = store.publish({"fruit": table_of(APPLES, Fruit)}, {})

    def lost() -> None:
        raise RuntimeError("the lease is lost")

    with pytest.raises(RuntimeError, match="the lease is lost"):
        store.publish({"fruit": table_of(MANY, Fruit)}, {}, lost)
    assert store.current() == before
    assert store.publish({"fruit": table_of(MANY, Fruit)}, {}, lambda: None) != before


def test_what_a_killed_publisher_left_is_cleared_away(tmp_path: Path) -> None:
    left = tmp_path / "snapshots" / ".1234.partial"
    left.mkdir(parents=True)
    (left / "fruit-00000.parquet").write_bytes(b"half")
    SnapshotStore(tmp_path).publish({"fruit": table_of(APPLES, Fruit)}, {})
    assert not left.exists()


def test_a_full_disk_leaves_no_part_of_an_object(tmp_path: Path, small_disk: SmallDisk) -> None:
    store = ObjectStore(tmp_path)
    with small_disk(FILE_LIMIT_BYTES), pytest.raises(DiskError, match=re.escape(f"cannot write {tmp_path}")):
        store.put_array(np.arange(4096))
    assert every_file(tmp_path) == set()


def test_a_snapshot_is_read_back_with_its_lineage(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path)
    assert store.current() is None
    first = store.publish({"fruit": table_of(APPLES, Fruit)}, {"code": "1"})
    second = store.publish({"fruit": table_of(MANY, Fruit), "none": table_of([], Fruit)}, {"code": "1"})
    current = store.current()
    assert current == second
    assert current.manifest.parent == first.manifest.snapshot_id
    assert records_of(current.table("fruit"), Fruit) == MANY
    assert records_of(current.table("none"), Fruit) == []
    assert records_of(store.open(first.manifest.snapshot_id).table("fruit"), Fruit) == APPLES
    assert {file.table: file.num_rows for file in current.manifest.files} == {"fruit": 2000, "none": 0}
    current.verify()


def test_the_same_content_is_the_same_snapshot(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path)
    first = store.publish({"fruit": table_of(APPLES, Fruit)}, {"code": "1"})
    files = every_file(tmp_path)
    assert store.publish({"fruit": table_of(APPLES, Fruit)}, {"code": "1"}) == first
    assert every_file(tmp_path) == files
    assert store.publish({"fruit": table_of(APPLES, Fruit)}, {"code": "2"}) != first


def test_a_return_to_earlier_content_moves_the_pointer_back(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path)
    first = store.publish({"fruit": table_of(APPLES, Fruit)}, {})
    store.publish({"fruit": table_of(MANY, Fruit)}, {})
    assert store.publish({"fruit": table_of(APPLES, Fruit)}, {}) == first
    assert store.current() == first


def test_a_table_in_parts_is_a_file_a_part(tmp_path: Path) -> None:
    parts = [table_of(MANY[start : start + 700], Fruit) for start in range(0, 2000, 700)]
    snapshot = SnapshotStore(tmp_path).publish({"fruit": iter(parts)}, {})
    assert [file.num_rows for file in snapshot.manifest.files] == [700, 700, 600]
    assert list(snapshot.parts("fruit")) == parts
    assert records_of(snapshot.table("fruit"), Fruit) == MANY


@given(sizes=st.lists(st.integers(0, 5), max_size=6), start=st.integers(-3, 30), length=st.integers(-3, 30))
def test_stored_records_are_a_sequence(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], start: int, length: int
) -> None:
    records = iter(MANY)
    batches = [[next(records) for _ in range(size)] for size in sizes]
    everything = MANY[: sum(sizes)]
    stored = write_records(tmp_path_factory.mktemp("stored") / "fruit.parquet", Fruit, batches)
    assert list(stored) == everything
    assert len(stored) == len(everything)
    assert stored[start : start + length] == everything[start : start + length]
    assert stored[start::2] == everything[start::2]
    assert [stored[place] for place in range(-len(everything), len(everything))] == everything * 2
    with pytest.raises(IndexError):
        stored[len(everything)]


def test_files_that_no_manifest_names_are_not_read(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path)
    snapshot = store.publish({"fruit": table_of(APPLES, Fruit)}, {})
    (snapshot.folder / "fruit-00001.parquet").write_bytes((snapshot.folder / "fruit-00000.parquet").read_bytes())
    assert records_of(snapshot.table("fruit"), Fruit) == APPLES


def test_damage_is_found_and_named(tmp_path: Path) -> None:
    snapshot = SnapshotStore(tmp_path).publish({"fruit": table_of(APPLES, Fruit)}, {})
    file = snapshot.folder / "fruit-00000.parquet"
    content = bytearray(file.read_bytes())
    content[40] ^= 1
    file.write_bytes(content)
    with pytest.raises(SnapshotError, match=r"fruit-00000\.parquet is missing or differs"):
        snapshot.verify()
    file.write_bytes(content[:-1])
    with pytest.raises(SnapshotError, match="is missing or not of"):
        snapshot.table("fruit")
    with pytest.raises(SnapshotError, match=r"no table 'nuts'; it has \['fruit'\]"):
        snapshot.table("nuts")
    with pytest.raises(SnapshotError, match="no snapshot 'nowhere'"):
        SnapshotStore(tmp_path).open("nowhere")


def test_publishers_at_once_leave_one_whole_line_of_snapshots(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path)
    tables = [table_of([Fruit(str(number), None)], Fruit) for number in range(6)]
    threads = [threading.Thread(target=store.publish, args=({"fruit": table}, {})) for table in tables]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    line = [store.current()]
    while line[-1] is not None and line[-1].manifest.parent is not None:
        line.append(store.open(line[-1].manifest.parent))
    assert len(line) == 6


def test_equal_bytes_are_one_object(tmp_path: Path) -> None:
    store = ObjectStore(tmp_path)
    assert store.put(b"abc", "txt") == store.put(b"abc", "txt")
    known = ObjectReference("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", "txt", 3)
    assert store.put(b"abc", "txt") == known
    assert every_file(tmp_path) == {tmp_path / "ba" / f"{known.sha256}.txt"}
    assert store.get(known) == b"abc"


def test_flushed_are_the_objects_and_the_folders_that_name_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, flushed = ObjectStore(tmp_path), []
    references = [store.put(content, "npy") for content in (b"one", b"two", b"one")]
    monkeypatch.setattr(os, "fsync", lambda descriptor: flushed.append(Path(f"/proc/self/fd/{descriptor}").readlink()))
    store.flush(references)
    paths = {store.path(one).resolve() for one in references}
    assert len(paths) == 2
    assert sorted(flushed) == sorted([*paths, *{path.parent for path in paths}])


def test_a_damaged_or_missing_object_is_named(tmp_path: Path) -> None:
    store = ObjectStore(tmp_path)
    reference = store.put(b"abc", "txt")
    store.path(reference).write_bytes(b"abd")
    with pytest.raises(ObjectError, match="is damaged"):
        store.get(reference)
    store.path(reference).unlink()
    with pytest.raises(ObjectError, match="no object"):
        store.get(reference)


@given(st.lists(st.integers(-(2**23), 2**23 - 1), min_size=1, max_size=50), st.sampled_from([8000, 16000, 44100]))
def test_sound_of_24_bits_comes_back_exactly(
    tmp_path_factory: pytest.TempPathFactory, steps: list[int], rate: int
) -> None:
    store = ObjectStore(tmp_path_factory.getbasetemp() / "objects")
    samples = np.array([steps, steps[::-1]], dtype=np.float32) / np.float32(2**23)
    restored = store.get_waveform(store.put_waveform(Waveform(samples, rate)))
    assert restored.sample_rate_hz == rate
    assert np.array_equal(restored.samples, samples)


@given(st.lists(st.floats(-1.5, 1.5, width=32), min_size=1, max_size=50))
def test_what_comes_back_of_other_sound_is_known_beforehand(
    tmp_path_factory: pytest.TempPathFactory, values: list[float]
) -> None:
    store = ObjectStore(tmp_path_factory.getbasetemp() / "objects")
    waveform = Waveform(np.array([values], dtype=np.float32), 16000)
    restored = store.get_waveform(store.put_waveform(waveform))
    assert np.array_equal(restored.samples, as_stored(waveform).samples)
    assert np.abs(restored.samples - waveform.samples.clip(-1, 1)).max() <= 2**-23


def test_arrays_come_back_with_their_type(tmp_path: Path) -> None:
    store = ObjectStore(tmp_path)
    codes = np.arange(12, dtype=np.int32).reshape(3, 4)
    restored = store.get_array(store.put_array(codes))
    assert restored.dtype == np.int32
    assert np.array_equal(restored, codes)


def test_outcomes_are_one_table_that_others_can_read(tmp_path: Path) -> None:
    refusal = Refusal("stone", "taste", "not a fruit", "it is a stone")
    outcomes = [APPLES[0], refusal, APPLES[1]]
    table = outcome_table(outcomes, Fruit)
    path = SnapshotStore(tmp_path).publish({"fruit": table}, {}).folder / "fruit-00000.parquet"
    rows = polars.read_parquet(path)
    assert rows["status"].to_list() == ["ok", "refused", "ok"]
    assert rows["name"].to_list() == ["apple", None, "quince"]
    assert rows["weight_g"].to_list() == [120.0, None, None]
    assert rows["refusal"].struct.field("reason").to_list() == [None, "not a fruit", None]
    read = pa.parquet.read_table(path)
    assert records_of_outcomes(read, Fruit) == APPLES
    assert refusals_of_outcomes(read) == [refusal]
    assert refusals_of_outcomes(outcome_table(APPLES, Fruit)) == []
    assert records_of_outcomes(outcome_table([refusal], Fruit), Fruit) == []
