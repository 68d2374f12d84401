"""Records go to Arrow tables and come back equal, whatever their fields hold."""

import io
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from enum import IntEnum, StrEnum
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import Float32, Int32

from levo.song.arrays import Array
from levo.song.candidate import PreferencePair, ScoredCandidate
from levo.song.description import Description, MusicalityTier
from levo.song.lyrics import Lyrics, Section
from levo.song.schema import (
    records_of,
    records_of_structs,
    schema_digest,
    schema_of,
    struct_array_of,
    table_of,
)
from levo.song.scores import Axis, Score, missing_score
from levo.song.structure import StructureTag
from levo.song.timing import TimedPhoneme, TimedSection
from levo.song.tokens import Stream, TokenGrid
from levo.song.waveform import Waveform


class Colour(StrEnum):
    RED = "red"
    DARK_BLUE = "dark-blue"


class Level(IntEnum):
    LOW = 1
    HIGH = 7


@dataclass(frozen=True, slots=True)
class Inner:
    name: str
    weights: tuple[float, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Everything:
    text: str
    count: int
    ratio: float
    flag: bool
    content: bytes
    colour: Colour
    level: Level
    kind: Literal["a", "b"]
    maybe_text: str | None
    maybe_colour: Colour | None
    inner: Inner
    maybe_inner: Inner | None
    inners: tuple[Inner, ...]
    maybe_texts: tuple[str, ...] | None
    nested: tuple[tuple[int, ...], ...]
    holes: tuple[int | None, ...]
    scores: dict[str, Score]
    by_name: Mapping[str, Inner]
    codes: Int32[Array, "stream frame"]
    maybe_samples: Float32[Array, " sample"] | None


def same(left: Any, right: Any) -> bool:
    """Equality that looks into arrays and into records without an equality of their own."""
    if isinstance(left, np.ndarray):
        return left.dtype == right.dtype and np.array_equal(left, right)
    if is_dataclass(left) and not isinstance(left, type):
        return type(left) is type(right) and all(
            same(getattr(left, field.name), getattr(right, field.name)) for field in fields(left)
        )
    if isinstance(left, tuple):
        return isinstance(right, tuple) and len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    return type(left) is type(right) and bool(left == right)


FLOATS = st.floats(allow_nan=False)
INTEGERS = st.integers(-(2**63), 2**63 - 1)
TEXT = st.text(max_size=6)
INNER = st.builds(Inner, TEXT, st.lists(FLOATS, max_size=3).map(tuple))
SCORES = st.builds(Score, FLOATS.filter(np.isfinite)) | TEXT.filter(bool).map(missing_score)
CODES = st.integers(0, 4).flatmap(
    lambda frames: st.lists(st.integers(-5, 5), min_size=3 * frames, max_size=3 * frames).map(
        lambda values: np.array(values, np.int32).reshape(3, frames)
    )
)
SAMPLES = st.lists(st.floats(width=32, allow_nan=False), max_size=4).map(lambda values: np.array(values, np.float32))
EVERYTHING = st.builds(
    Everything,
    text=TEXT,
    count=INTEGERS,
    ratio=FLOATS,
    flag=st.booleans(),
    content=st.binary(max_size=5),
    colour=st.sampled_from(Colour),
    level=st.sampled_from(Level),
    kind=st.sampled_from(["a", "b"]),
    maybe_text=st.none() | TEXT,
    maybe_colour=st.none() | st.sampled_from(Colour),
    inner=INNER,
    maybe_inner=st.none() | INNER,
    inners=st.lists(INNER, max_size=2).map(tuple),
    maybe_texts=st.none() | st.lists(TEXT, max_size=2).map(tuple),
    nested=st.lists(st.lists(INTEGERS, max_size=2).map(tuple), max_size=2).map(tuple),
    holes=st.lists(st.none() | INTEGERS, max_size=3).map(tuple),
    scores=st.dictionaries(TEXT, SCORES, max_size=2),
    by_name=st.dictionaries(TEXT, INNER, max_size=2),
    codes=CODES,
    maybe_samples=st.none() | SAMPLES,
)


def through_parquet(table: pa.Table) -> pa.Table:
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return pq.read_table(io.BytesIO(buffer.getvalue()))


@settings(max_examples=50)
@given(st.lists(EVERYTHING, max_size=5))
def test_records_come_back_from_a_table_and_from_parquet(records: list[Everything]) -> None:
    table = table_of(records, Everything)
    assert table.schema == schema_of(Everything)
    for restored in (records_of(table, Everything), records_of(through_parquet(table), Everything)):
        assert same(tuple(restored), tuple(records))


@settings(max_examples=40)
@given(st.lists(EVERYTHING, min_size=1, max_size=4), st.data())
def test_a_part_of_a_table_gives_its_part_of_the_records(records: list[Everything], data: st.DataObject) -> None:
    table = pa.concat_tables([table_of(records, Everything), table_of(records, Everything)])
    start = data.draw(st.integers(0, 2 * len(records)))
    length = data.draw(st.integers(0, 2 * len(records) - start))
    expected = [*records, *records][start : start + length]
    assert same(tuple(records_of(table.slice(start, length), Everything)), tuple(expected))


@settings(max_examples=40)
@given(st.lists(st.none() | EVERYTHING, max_size=5))
def test_a_struct_column_keeps_its_nulls(records: list[Everything | None]) -> None:
    array = struct_array_of(records, Everything)
    assert array.null_count == records.count(None)
    restored = records_of_structs(pa.chunked_array([array[:2], array[2:]]), Everything)
    assert same(tuple(restored), tuple(records))


RECORDS = [
    TokenGrid(np.arange(6, dtype=np.int32).reshape(3, 2)),
    ScoredCandidate("c", "p", {"per": Score(0.25), "musicality": missing_score("silent")}),
    PreferencePair("x", Axis.LYRIC, "p", "a", "b", "per", 0.1, 0.3, 0.2, 0.05, 0.1, "scorer", "model"),
    Description(("female", "dark"), MusicalityTier.VERY_HIGH),
    Lyrics((Section(StructureTag.VERSE, ("red moon", "blue sky")), Section(StructureTag.INST_SHORT))),
    TimedPhoneme("m", 0.1, 0.2),
    TimedSection(StructureTag.CHORUS, 0.0, 1.5),
    Waveform(np.array([[0.5, -0.25]], np.float32), 16000),
]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_every_stored_record_of_a_song_comes_back(record: Any) -> None:
    (restored,) = records_of(through_parquet(table_of([record], type(record))), type(record))
    assert same(restored, record)


def test_the_arrow_types_are_the_documented_ones() -> None:
    schema = schema_of(Everything)
    assert schema.field("colour").type == pa.string()
    assert schema.field("inner").type == pa.struct(
        [
            pa.field("name", pa.string(), False),
            pa.field("weights", pa.list_(pa.field("item", pa.float64(), False)), False),
        ]
    )
    assert [field.name for field in schema if field.nullable] == [
        "maybe_text",
        "maybe_colour",
        "maybe_inner",
        "maybe_texts",
        "maybe_samples",
    ]
    score = schema_of(Score)
    assert (score.names, score.types) == (["value", "missing"], [pa.float64(), pa.string()])
    level = table_of([TimedSection(StructureTag.INTRO_SHORT, 0, 1)], TimedSection)
    assert level.column("tag").to_pylist() == ["intro-short"]


def test_other_enums_are_stored_by_name() -> None:
    @dataclass(frozen=True)
    class Row:
        stream: Stream

    table = table_of([Row(Stream.VOCAL)], Row)
    assert table.column("stream").to_pylist() == ["VOCAL"]
    assert records_of(table, Row) == [Row(Stream.VOCAL)]


def test_the_schema_digest_changes_with_names_types_and_nullability() -> None:
    fields_of: list[pa.Field[Any]] = [
        pa.field("a", pa.int64(), False),
        pa.field("b", pa.int64(), False),
        pa.field("a", pa.string(), False),
        pa.field("a", pa.int64(), True),
    ]
    assert len({schema_digest(pa.schema([field])) for field in fields_of}) == 4
    assert schema_digest(pa.schema(fields_of[:1], metadata={"k": "v"})) == schema_digest(pa.schema(fields_of[:1]))


def test_numpy_numbers_are_taken_as_numbers() -> None:
    numbers: list[Any] = [np.float32(0.5), np.int64(1)]
    (restored,) = records_of(table_of([TimedPhoneme("m", *numbers)], TimedPhoneme), TimedPhoneme)
    assert restored == TimedPhoneme("m", 0.5, 1.0)
    assert (type(restored.start_s), type(restored.end_s)) == (float, float)


@pytest.mark.parametrize(
    ("record", "problem"),
    [
        (TimedPhoneme("m", None, 1.0), "TimedPhoneme, field start_s: None is NoneType; expected float"),  # type: ignore[arg-type]
        (TimedPhoneme(3, 0.0, 1.0), "TimedPhoneme, field phoneme: 3 is int; expected str"),  # type: ignore[arg-type]
        (TimedSection("hook", 0.0, 1.0), "TimedSection, field tag: 'hook' is no StructureTag"),  # type: ignore[arg-type]
        (Description(("a", 1)), "Description, field tags: 1 is int; expected str"),  # type: ignore[arg-type]
    ],
)
def test_a_value_of_another_type_is_named(record: Any, problem: str) -> None:
    with pytest.raises(TypeError, match=problem):
        table_of([record], type(record))


def test_an_array_of_another_dtype_is_named() -> None:
    @dataclass(frozen=True)
    class Row:
        codes: Int32[Array, "stream frame"]

    with pytest.raises(TypeError, match=r"field codes: array is int64\[2\]; expected int32, 2 axes"):
        table_of([Row(np.arange(2))], Row)


def test_a_record_that_arrow_cannot_hold_is_named() -> None:
    @dataclass(frozen=True)
    class Odd:
        thing: complex

    with pytest.raises(TypeError, match=r"Odd\.thing: no Arrow column for <class 'complex'>"):
        schema_of(Odd)
    with pytest.raises(TypeError, match="is no record; expected a frozen dataclass"):
        schema_of(int)


def test_a_table_that_lacks_a_column_is_refused_and_one_with_more_is_read() -> None:
    table = table_of([TimedPhoneme("m", 0.0, 1.0)], TimedPhoneme)
    with pytest.raises(KeyError, match=r"lacks \['end_s'\], needed by TimedPhoneme"):
        records_of(table.drop_columns(["end_s"]), TimedPhoneme)
    wider = table.append_column("extra", pa.array([1]))
    assert records_of(wider, TimedPhoneme) == [TimedPhoneme("m", 0.0, 1.0)]


def test_a_table_from_before_an_optional_field_is_read() -> None:
    @dataclass(frozen=True)
    class Later:
        start: int
        note: str | None = None

    table = table_of([Later(1, "a"), Later(2)], Later)
    assert records_of(table, Later) == [Later(1, "a"), Later(2)]
    assert records_of(table.drop_columns(["note"]), Later) == [Later(1), Later(2)]
    structs = pa.chunked_array([pa.array([{"start": 3}, None])])
    assert records_of_structs(structs, Later) == [Later(3), None]
