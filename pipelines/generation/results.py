"""What became of each order: tokens, sound and a record, kept as they finish, so that a rerun skips what is done."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from levo.codec.stems import Stems
from levo.model.sampling.request import SampledSong
from levo.song.digest import digest_json
from levo.song.files import write_atomically, write_bytes_atomically
from levo.song.waveform import Waveform
from pipelines.generation.order_file import SongOrder

RECORDS_FOLDER, TOKENS_FOLDER, AUDIO_FOLDER = "records", "tokens", "audios"
RESULTS_FILE = "results.jsonl"
STEM_ENDINGS = ("_vocal", "_bgm")


class SongParts(StrEnum):
    """What is made audible: the whole song, one stem of it, or all three files."""

    MIXED = "mixed"
    VOCAL = "vocal"
    ACCOMPANIMENT = "bgm"
    SEPARATE = "separate"


@dataclass(frozen=True, slots=True)
class Job:
    """An order with all that decides its song: the seed, the model's digest and the settings."""

    order: SongOrder
    seed: int
    model_digest: str
    settings: Mapping[str, Any]

    @property
    def digest(self) -> str:
        """Equal for equal songs."""
        line = {name: value for name, value in self.order.line.items() if name != "seed"}
        return digest_json([line, self.seed, self.model_digest, dict(self.settings)])


class ResultsFolder:
    """Where songs go: `tokens/IDX.npy`, `audios/IDX.flac`, `records/IDX.json`, and `results.jsonl` over all orders."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def is_done(self, job: Job) -> bool:
        """Whether the song of exactly this job is there, with the files that its record names."""
        record = self._record(job.order.idx)
        if record is None or record["job"] != job.digest or "error" in record:
            return False
        return all((self.folder / name).is_file() for name in (record["tokens_path"], *record["wav_paths"]))

    def keep(self, job: Job, song: SampledSong, stems: Stems | None, parts: SongParts) -> None:
        """Store a song: its tokens [3, T], the parts that were asked for where it was decoded, and last its record."""
        idx = job.order.idx
        tokens = f"{TOKENS_FOLDER}/{idx}.npy"
        write_atomically(self.folder / tokens, partial(_save_array, song.tokens.codes))
        sounds = {} if stems is None else _sounds(idx, stems, parts)
        for name, sound in sounds.items():
            write_atomically(self.folder / name, partial(_save_flac, sound))
        self._write_record(
            job,
            {
                "model_digest": song.model_digest,
                "ended": song.ended,
                "duration_s": song.tokens.duration_s,
                "tokens_path": tokens,
                "wav_paths": list(sounds),
            },
        )

    def refuse(self, job: Job, reason: str) -> None:
        """Note why an order has no song; a rerun tries it again."""
        self._write_record(job, {"error": reason, "tokens_path": None, "wav_paths": []})

    def write_results(self, orders: list[SongOrder]) -> int:
        """`results.jsonl`: each order's own fields and what came of it, in the orders' order; how many have a song."""
        rows = []
        num_songs = 0
        for order in orders:
            record = self._record(order.idx)
            if record is None:
                continue
            num_songs += "error" not in record
            paths = [str(self.folder / name) for name in record["wav_paths"]]
            outcome = {name: value for name, value in record.items() if name not in ("job", "wav_paths", "tokens_path")}
            tokens = record["tokens_path"]
            rows.append(
                {
                    **order.line,
                    **outcome,
                    "tokens_path": None if tokens is None else str(self.folder / tokens),
                    "wav_path": paths[0] if paths else None,
                    "stem_paths": paths[1:],
                }
            )
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        write_bytes_atomically(self.folder / RESULTS_FILE, text.encode())
        return num_songs

    def _record(self, idx: str) -> dict[str, Any] | None:
        file = self._record_file(idx)
        if not file.is_file():
            return None
        record: dict[str, Any] = json.loads(file.read_text())
        return record

    def _write_record(self, job: Job, outcome: Mapping[str, Any]) -> None:
        record = {"job": job.digest, "seed": job.seed, **outcome}
        write_bytes_atomically(self._record_file(job.order.idx), json.dumps(record).encode())

    def _record_file(self, idx: str) -> Path:
        return self.folder / RECORDS_FOLDER / f"{idx}.json"


def _sounds(idx: str, stems: Stems, parts: SongParts) -> dict[str, Waveform]:
    whole, vocal, accompaniment = (f"{AUDIO_FOLDER}/{idx}{ending}.flac" for ending in ("", *STEM_ENDINGS))
    match parts:
        case SongParts.MIXED:
            return {whole: stems.mixture}
        case SongParts.VOCAL:
            return {whole: stems.vocal}
        case SongParts.ACCOMPANIMENT:
            return {whole: stems.accompaniment}
        case SongParts.SEPARATE:
            return {whole: stems.mixture, vocal: stems.vocal, accompaniment: stems.accompaniment}


def _save_array(codes: Any, path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, codes)


def _save_flac(sound: Waveform, path: Path) -> None:
    soundfile.write(path, sound.samples.T.clip(-1, 1), sound.sample_rate_hz, format="FLAC")
