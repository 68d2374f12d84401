"""What a rendered corpus tells about itself: metadata as a user would have them, and the truth in a table apart."""

from dataclasses import asdict
from typing import Any

import pyarrow as pa

from pipelines.rendered.catalogue import CorpusSong
from pipelines.rendered.timeline import time_song
from pipelines.rendered.voice import Voice

LICENCE = "synthetic"

_TEXT, _NUMBER, _COUNT, _FLAG = pa.string(), pa.float64(), pa.int32(), pa.bool_()


def _spans_of(name: str) -> pa.DataType:
    return pa.list_(pa.struct([pa.field(name, _TEXT), pa.field("start_s", _NUMBER), pa.field("end_s", _NUMBER)]))


_FIELDS: "list[pa.Field[Any]]" = [
    pa.field("song_id", _TEXT),
    pa.field("collection", _TEXT),
    pa.field("is_long", _FLAG),
    pa.field("lyrics", _TEXT),
    pa.field("tags", pa.list_(_TEXT)),
    pa.field("singer", _TEXT),
    pa.field("tempo_bpm", _NUMBER),
    pa.field("frames_per_beat", _COUNT),
    pa.field("beats_per_bar", _COUNT),
    pa.field("tonic", _COUNT),
    pa.field("num_frames", _COUNT),
    pa.field("sections", _spans_of("tag")),
    pa.field("words", _spans_of("word")),
    pa.field("phonemes", _spans_of("phoneme")),
    pa.field("is_left_out", _FLAG),
    pa.field("has_wrong_lyrics", _FLAG),
    pa.field("has_wrong_tags", _FLAG),
    pa.field(
        "glitches",
        pa.list_(pa.struct([pa.field("kind", _TEXT), pa.field("beat", _COUNT), pa.field("amount", _NUMBER)])),
    ),
]
TRUTH_SCHEMA = pa.schema(_FIELDS)


def audio_name(song_id: str) -> str:
    """The mixture's file, from the corpus folder."""
    return f"audio/{song_id}.flac"


def stem_name(song_id: str, stem: str) -> str:
    """A stem's file, from the corpus folder; stems are `vocal` and `accompaniment`."""
    return f"stems/{song_id}.{stem}.flac"


def metadata_row(song: CorpusSong) -> dict[str, Any]:
    """A song's line of `metadata.jsonl`: with its faults, and without a word about them."""
    row: dict[str, Any] = {
        "song_id": song.song_id,
        "audio": audio_name(song.song_id),
        "stems": {stem: stem_name(song.song_id, stem) for stem in ("vocal", "accompaniment")},
        "collection": song.collection.value,
        "singer": song.plan.style.singer.name,
        "licence": LICENCE,
    }
    if not song.is_left_out:
        row["lyrics"] = (song.noise.wrong_lyrics or song.plan.lyrics).text
        row["tags"] = list((song.noise.wrong_description or song.plan.description).tags)
    return row


def truth_row(song: CorpusSong, voice: Voice) -> dict[str, Any]:
    """A song's row of `truth.parquet`: what is really sung and played, and which faults it carries."""
    plan, style = song.plan, song.plan.style
    times = time_song(plan, voice)
    return {
        "song_id": song.song_id,
        "collection": song.collection.value,
        "is_long": song.is_long,
        "lyrics": plan.lyrics.text,
        "tags": list(plan.description.tags),
        "singer": style.singer.name,
        "tempo_bpm": style.tempo.bpm,
        "frames_per_beat": style.tempo.frames_per_beat,
        "beats_per_bar": style.beats_per_bar,
        "tonic": style.tonic,
        "num_frames": plan.num_frames,
        "sections": [asdict(section) for section in times.sections],
        "words": [asdict(word) for word in times.words],
        "phonemes": [asdict(phoneme) for phoneme in times.phonemes],
        "is_left_out": song.is_left_out,
        "has_wrong_lyrics": song.noise.wrong_lyrics is not None,
        "has_wrong_tags": song.noise.wrong_description is not None,
        "glitches": [asdict(glitch) for glitch in song.noise.glitches],
    }


def truth_table(songs: tuple[CorpusSong, ...], voice: Voice) -> pa.Table:
    """The truth about all songs; no training step may read it."""
    return pa.Table.from_pylist([truth_row(song, voice) for song in songs], schema=TRUTH_SCHEMA)
