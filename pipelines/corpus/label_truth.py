"""Reference labels of songs, written by people or known from rendering: what a corpus's own labels are held to.

A JSON-lines file has an object a song: `song_id`, and any of `words` and `lines` (each with `start_s` and `end_s`),
`sections` (`tag`, `start_s`, `end_s`), `phonemes` (a list of names) and `stems` (paths of `vocal` and `accompaniment`,
relative to the file). The rendered world's `truth.parquet` is read too.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pyarrow.parquet as pq

from levo.song.structure import StructureTag
from levo.song.timing import TimedSection, TimedWord
from pipelines.rendered.truth import stem_name

Item = TypeVar("Item")


class TruthError(ValueError):
    """Reference labels that are not as they must be; the message names file, line and field."""


@dataclass(frozen=True, slots=True)
class TimedLine:
    """One line of the lyrics and the span that it is sung in."""

    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceLabels:
    """What is known of a song; None is what is not known."""

    song_id: str
    words: tuple[TimedWord, ...] | None = None
    lines: tuple[TimedLine, ...] | None = None
    phonemes: tuple[str, ...] | None = None
    sections: tuple[TimedSection, ...] | None = None
    stems: tuple[Path, Path] | None = None


def read_reference_labels(file: Path) -> dict[str, ReferenceLabels]:
    """All songs' labels by id; raises `TruthError` for a line that cannot be used."""
    if file.suffix == ".parquet":
        rows = pq.read_table(file).to_pylist()
        return {row["song_id"]: _rendered(row, file.parent) for row in rows}
    found: dict[str, ReferenceLabels] = {}
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        if line.strip():
            labels = _labels(line, f"{file}, line {number}", file.parent)
            if labels.song_id in found:
                raise TruthError(f"{file}, line {number}: song_id {labels.song_id!r} came before")
            found[labels.song_id] = labels
    if not found:
        raise TruthError(f"{file} holds no song; expected a JSON object a line")
    return found


def _labels(line: str, where: str, folder: Path) -> ReferenceLabels:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise TruthError(f"{where}: no JSON: {error}") from None
    if not isinstance(row, dict) or not isinstance(row.get("song_id"), str):
        raise TruthError(f"{where}: expected an object with a song_id")
    unknown = sorted(set(row) - {"song_id", "words", "lines", "phonemes", "sections", "stems"})
    if unknown:
        raise TruthError(f"{where}: field {unknown[0]!r}; expected words, lines, phonemes, sections or stems")
    phonemes, stems = row.get("phonemes"), row.get("stems")
    if phonemes is not None and not (isinstance(phonemes, list) and all(isinstance(one, str) for one in phonemes)):
        raise TruthError(f"{where}: phonemes; expected a list of names")
    return ReferenceLabels(
        song_id=row["song_id"],
        words=_spans(row, "words", "word", TimedWord, where),
        lines=_spans(row, "lines", "text", TimedLine, where),
        phonemes=None if phonemes is None else tuple(phonemes),
        sections=_spans(row, "sections", "tag", lambda tag, *span: TimedSection(StructureTag(tag), *span), where),
        stems=None if stems is None else _stems(stems, folder, where),
    )


def _spans(
    row: Mapping[str, Any], name: str, text: str, make: Callable[[str, float, float], Item], where: str
) -> tuple[Item, ...] | None:
    values = row.get(name)
    if values is None:
        return None
    try:
        spans = [(str(value[text]), float(value["start_s"]), float(value["end_s"])) for value in values]
        for said, start_s, end_s in spans:
            if not 0 <= start_s <= end_s:
                raise ValueError(f"{said!r} lasts from {start_s:g} s to {end_s:g} s")
        return tuple(make(*span) for span in spans)
    except (KeyError, TypeError, ValueError) as error:
        raise TruthError(f"{where}: {name}: {error}; expected objects with {text}, start_s and end_s") from None


def _stems(value: Any, folder: Path, where: str) -> tuple[Path, Path]:
    if not isinstance(value, dict) or set(value) != {"vocal", "accompaniment"}:
        raise TruthError(f"{where}: stems are {value!r}; expected paths of vocal and accompaniment")
    vocal, accompaniment = folder / str(value["vocal"]), folder / str(value["accompaniment"])
    for path in (vocal, accompaniment):
        if not path.is_file():
            raise TruthError(f"{where}: stems: {path} is no file")
    return vocal, accompaniment


def _rendered(row: Mapping[str, Any], folder: Path) -> ReferenceLabels:
    stems = (folder / stem_name(row["song_id"], "vocal"), folder / stem_name(row["song_id"], "accompaniment"))
    return ReferenceLabels(
        song_id=row["song_id"],
        words=tuple(TimedWord(one["word"], one["start_s"], one["end_s"]) for one in row["words"]),
        phonemes=tuple(one["phoneme"] for one in row["phonemes"]),
        sections=tuple(TimedSection(StructureTag(one["tag"]), one["start_s"], one["end_s"]) for one in row["sections"]),
        stems=stems if all(path.is_file() for path in stems) else None,
    )
