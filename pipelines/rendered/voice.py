"""The voice: every note (singer, word, beat length, pitch) synthesised once, in a bank that is stored as one file."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path

import numpy as np
from jaxtyping import Int16
from safetensors import safe_open
from safetensors.numpy import save_file

from levo.song.arrays import Array
from levo.song.digest import digest_arrays, digest_bytes, digest_file, digest_json
from levo.song.files import write_atomically
from levo.song.timing import TimedPhoneme
from levo.song.tokens import FRAME_RATE_HZ
from pipelines.rendered import espeak, syllable
from pipelines.rendered.world import WorldConfig

_NOTE_RMS = 0.1
_NOTE_PEAK = 0.45


@dataclass(frozen=True, slots=True, eq=False)
class Voice:
    """All notes of all singers, in 16-bit steps; `timings` are each word's phonemes within its note."""

    config: WorldConfig
    notes: dict[int, Int16[Array, "singer word pitch sample"]]
    """By frames a beat; pitches count from the singer's lowest."""
    timings: dict[tuple[str, str, int], tuple[TimedPhoneme, ...]]
    """By singer, word and frames a beat."""

    def note(self, singer: str, word: str, frames_per_beat: int, pitch: int) -> Int16[Array, " sample"]:
        """One sung word, exactly one beat long."""
        row = [one.name for one in self.config.singers].index(singer)
        step = self.config.singers[row].pitches.index(pitch)
        note: Int16[Array, " sample"] = self.notes[frames_per_beat][row, self.config.words.index(word), step]
        return note

    @property
    def lexicon(self) -> dict[str, tuple[str, ...]]:
        """Each word's phonemes, as both singers say it."""
        singer, frames = self.config.singers[0].name, self.config.tempi[0].frames_per_beat
        return {word: tuple(item.phoneme for item in self.timings[singer, word, frames]) for word in self.config.words}

    @property
    def phonemes(self) -> tuple[str, ...]:
        """The inventory, sorted."""
        return tuple(sorted({phoneme for phonemes in self.lexicon.values() for phoneme in phonemes}))

    @property
    def digest(self) -> str:
        """SHA-256 over every note and time."""
        rows = [[*key, [asdict(item) for item in items]] for key, items in sorted(self.timings.items())]
        arrays = digest_arrays(self.notes[frames] for frames in sorted(self.notes))
        return digest_bytes(arrays.encode(), digest_json(rows).encode())

    def save(self, folder: Path) -> Path:
        """Write the bank into a folder under the name that `open_voice` looks for; safe beside other writers."""
        path = bank_path(self.config, folder)
        rows = [[*key, [asdict(item) for item in items]] for key, items in sorted(self.timings.items())]
        notes = {str(frames): notes for frames, notes in self.notes.items()}
        metadata = {"timings": json.dumps(rows), "digest": self.digest}
        write_atomically(path, lambda place: save_file(notes, place, metadata=metadata), flush=False)
        return path


def build_voice(config: WorldConfig, num_threads: int = 2) -> Voice:
    """Synthesise the whole bank: about 12 s of processor time for the default world. Needs espeak-ng and pyworld.

    The notes do not depend on the number of threads: espeak-ng, which has one state, speaks all words before.
    """
    shape = (len(config.singers), len(config.words))
    notes: dict[int, Int16[Array, "singer word pitch sample"]] = {}
    timings: dict[tuple[str, str, int], tuple[TimedPhoneme, ...]] = {}
    for tempo in config.tempi:
        num_pitches = max(len(singer.pitches) for singer in config.singers)
        num_samples = tempo.frames_per_beat * config.samples_per_frame
        notes[tempo.frames_per_beat] = np.zeros((*shape, num_pitches, num_samples), dtype=np.int16)

    def sing(row: int, column: int, spoken: espeak.SpokenWord) -> None:
        singer, word = config.singers[row], config.words[column]
        analysed = syllable.analyse_syllable(spoken, config.sample_rate_hz)
        for frames, bank in notes.items():
            stretched = syllable.stretch_syllable(analysed, frames / FRAME_RATE_HZ)
            timings[singer.name, word, frames] = stretched.phonemes
            for step, pitch in enumerate(singer.pitches):
                note = syllable.sing_syllable(stretched, pitch, bank.shape[-1])
                gain = min(_NOTE_RMS / float(np.sqrt(np.mean(note**2))), _NOTE_PEAK / float(np.abs(note).max()))
                bank[row, column, step] = np.round(note * gain * 32768)

    places = list(product(range(len(config.singers)), range(len(config.words))))
    spoken = [espeak.speak(config.words[column], config.singers[row].espeak_voice) for row, column in places]
    with ThreadPoolExecutor(num_threads) as pool:
        for sung in [pool.submit(sing, *place, one) for place, one in zip(places, spoken, strict=True)]:
            sung.result()
    return Voice(config, notes, timings)


def bank_path(config: WorldConfig, folder: Path) -> Path:
    """Where a world's bank lies in a folder: its name is the digest of all that decides the notes, code included."""
    parts = {
        "code": [digest_file(Path(str(module.__file__))) for module in (espeak, syllable)],
        "words": config.words,
        "singers": config.singers,
        "tempi": config.tempi,
        "sample_rate_hz": config.sample_rate_hz,
    }
    return folder / f"voice-{digest_json(parts)[:16]}.safetensors"


def load_voice(config: WorldConfig, path: Path) -> Voice:
    """Read a stored bank; raises `ValueError` where its content is not what was written."""
    with safe_open(path, framework="numpy") as file:
        metadata = file.metadata()
        notes = {int(name): file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    timings = {
        (singer, word, frames): tuple(TimedPhoneme(**item) for item in items)
        for singer, word, frames, items in json.loads(metadata["timings"])
    }
    voice = Voice(config, notes, timings)
    if voice.digest != metadata["digest"]:
        raise ValueError(f"note bank {path} has digest {voice.digest}, its header says {metadata['digest']}; delete it")
    return voice


def open_voice(config: WorldConfig, folder: Path) -> Voice:
    """The stored bank of this world, built and stored first where the folder has none."""
    path = bank_path(config, folder)
    if not path.exists():
        build_voice(config).save(folder)
    return load_voice(config, path)
