"""What is said of songs, in JSON lines or a Parquet table: checked field by field before anything is believed."""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from levo.song.lyrics import LyricsError, parse_lyrics

METADATA_FILE = "metadata.jsonl"
_MAX_LINE_CHARACTERS = 1 << 20
_ROWS_PER_BATCH = 1024
_STEMS = ("vocal", "accompaniment")


class MetadataError(ValueError):
    """A line that does not describe a song: the song (or the line where it names none), and what is wrong."""

    def __init__(self, item_id: str, reason: str, detail: str) -> None:
        super().__init__(f"{item_id}: {reason}: {detail}")
        self.item_id = item_id
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True, kw_only=True)
class SongMetadata:
    """What is said of a song; paths are relative to the folder, None is what is not said."""

    song_id: str
    audio: str
    vocal: str | None = None
    accompaniment: str | None = None
    collection: str | None = None
    singer: str | None = None
    licence: str | None = None
    source: str | None = None
    consent: str | None = None
    lyrics: str | None = None
    tags: tuple[str, ...] | None = None


class MetadataReader:
    """Reads the metadata of one listing; a `song_id` that came before, in whichever file, is an error."""

    def __init__(self) -> None:
        self._seen: set[str] = set()

    def lines(self, lines: Iterable[bytes], name: str) -> Iterator[SongMetadata | MetadataError]:
        """Each line's song, or what is wrong with it; blank lines are passed over."""
        for number, line in enumerate(lines, 1):
            if line.strip():
                where = f"{name}, line {number}"
                yield self._checked(lambda line=line, where=where: parse_metadata(line, where), where)  # type: ignore[misc]

    def table(self, file: IO[bytes], name: str) -> Iterator[SongMetadata | MetadataError]:
        """Each row's song of a Parquet table, or what is wrong with it; raises MetadataError for no such table."""
        try:
            table = pq.ParquetFile(file)
            number = 0
            for batch in table.iter_batches(_ROWS_PER_BATCH):
                for row in batch.to_pylist():
                    number += 1
                    where = f"{name}, row {number}"
                    yield self._checked(lambda row=row, where=where: song_of_row(row, where), where)  # type: ignore[misc]
        except pa.ArrowException as error:
            raise MetadataError(name, "bad metadata", f"no Parquet table: {error}") from None

    def _checked(self, parse: Callable[[], SongMetadata], where: str) -> SongMetadata | MetadataError:
        try:
            song = parse()
        except MetadataError as error:
            return error
        if song.song_id in self._seen:
            return MetadataError(f"{song.song_id} ({where})", "repeated song_id", f"{song.song_id!r} came before")
        self._seen.add(song.song_id)
        return song


def parse_metadata(line: bytes, where: str) -> SongMetadata:
    """One line; `where` names it in errors until its song_id is known."""
    return song_of_row(_parse_object(line, where), where)


def song_of_row(row: dict[str, Any], where: str) -> SongMetadata:
    """One row, field by field; `where` names it in errors until its song_id is known."""
    item_id = _text(row, "song_id", where)
    if item_id is None:
        raise MetadataError(where, "bad metadata", "no song_id")
    audio = _text(row, "audio", item_id)
    if audio is None:
        raise MetadataError(item_id, "bad metadata", "no audio; expected a path relative to the metadata")
    stems = _stems(row, item_id)
    return SongMetadata(
        song_id=item_id,
        audio=audio,
        vocal=stems.get("vocal"),
        accompaniment=stems.get("accompaniment"),
        collection=_text(row, "collection", item_id),
        singer=_text(row, "singer", item_id),
        licence=_text(row, "licence", item_id),
        source=_text(row, "source", item_id),
        consent=_text(row, "consent", item_id),
        lyrics=_lyrics(row, item_id),
        tags=_tags(row, item_id),
    )


def _parse_object(line: bytes, where: str) -> dict[str, Any]:
    if len(line) > _MAX_LINE_CHARACTERS:
        raise MetadataError(where, "bad metadata", f"{len(line)} bytes; expected at most {_MAX_LINE_CHARACTERS}")
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise MetadataError(where, "bad metadata", f"no JSON: {error}") from None
    if not isinstance(row, dict):
        raise MetadataError(where, "bad metadata", f"{type(row).__name__}; expected a JSON object")
    return row


def _text(row: dict[str, Any], name: str, item_id: str) -> str | None:
    value = row.get(name)
    if value is not None and not (isinstance(value, str) and value.strip() and value.isprintable()):
        raise MetadataError(item_id, "bad metadata", f"{name} is {value!r}; expected printable text")
    return value


def _stems(row: dict[str, Any], item_id: str) -> dict[str, str]:
    value = row.get("stems")
    if value is None:
        return {}
    if not isinstance(value, dict) or set(value) != set(_STEMS):
        raise MetadataError(item_id, "bad metadata", f"stems are {value!r}; expected paths of vocal and accompaniment")
    return {stem: path for stem in _STEMS if (path := _text(value, stem, item_id)) is not None}


def _lyrics(row: dict[str, Any], item_id: str) -> str | None:
    """In the released format, normalised; raises for unknown tags and for text in an instrumental section."""
    value = row.get("lyrics")
    if value is None:
        return None
    if not isinstance(value, str):
        raise MetadataError(item_id, "bad lyrics", f"{value!r}; expected text such as '[verse] a line.'")
    try:
        text = " ".join(parse_lyrics(value).text.split())
    except LyricsError as error:
        raise MetadataError(item_id, "bad lyrics", str(error)) from None
    if not text.isprintable():
        raise MetadataError(item_id, "bad lyrics", f"{text!r}; expected printable text")
    return text


def _tags(row: dict[str, Any], item_id: str) -> tuple[str, ...] | None:
    value = row.get("tags")
    if value is None:
        return None
    if not isinstance(value, list) or not all(
        isinstance(tag, str) and tag.strip() and tag.isprintable() for tag in value
    ):
        raise MetadataError(item_id, "bad tags", f"{value!r}; expected a list of texts")
    return tuple(tag.strip().lower() for tag in value)
