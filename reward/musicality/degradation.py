"""Songs made worse step by step, so that each version is truly less musical than the one before.

Half of the songs are spoilt as sound, before a codec hears them (stutters, dropouts, slips off the beat, notes off
pitch), the other half as tokens, as a language model errs (frames shuffled, repeated, late, or another song's). Every
version is decoded from tokens, so that a judge cannot tell them apart by the codec.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int32

from levo.codec.protocol import Codec
from levo.codec.stems import Stems
from levo.song.arrays import Array
from levo.song.tokens import Stream, TokenGrid
from levo.song.waveform import Waveform, mono_waveform
from reward.musicality.ranking import RankedSong

Progress = Callable[[int, int], None]
_LEAST_CHANGED_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class DegradationConfig:
    """How much of a song each further version spoils, how long a spoilt stretch is, and how many are in the voice.

    A voice's errors are mostly wrong sounds, which phoneme errors count: by default the playing alone is spoilt, so
    that musicality is an axis of its own.
    """

    spoilt_shares: tuple[float, ...] = (0.15, 0.4, 0.75)
    vocal_share: float = 0.0
    shortest_stretch_s: float = 0.24
    longest_stretch_s: float = 0.6


@dataclass(frozen=True, slots=True)
class _Stretch:
    start_s: float
    end_s: float
    stream: Stream


def ranked_songs(
    songs: Sequence[tuple[str, Stems]],
    codec: Codec,
    *,
    seed: int,
    config: DegradationConfig | None = None,
    progress: Progress | None = None,
) -> Iterator[RankedSong]:
    """Spoil and decode each (song_id, stems); a song's versions depend on seed, its place, and the song before it."""
    config = config or DegradationConfig()
    stranger: TokenGrid | None = None
    for index, (song_id, stems) in enumerate(songs):
        rng = np.random.default_rng([seed, index])
        tokens = codec.encode(stems)
        if index % 2 == 0 or stranger is None:
            grids = _spoilt_sounds(stems, codec, config, rng)
        else:
            grids = _spoilt_tokens(tokens, stranger, config, rng)
        decoded = codec.decode_batch([tokens, *grids])
        yield RankedSong(song_id, tuple(version.mixture for version in decoded))
        stranger = tokens
        if progress is not None:
            progress(index + 1, len(songs))


def _spoilt_sounds(stems: Stems, codec: Codec, config: DegradationConfig, rng: np.random.Generator) -> list[TokenGrid]:
    rate_hz = stems.mixture.sample_rate_hz
    rows = {Stream.VOCAL: stems.vocal.mono.copy(), Stream.ACCOMPANIMENT: stems.accompaniment.mono.copy()}
    grids: list[TokenGrid] = []
    for stretches in _growing_stretches(stems.mixture.duration_s, config, rng):
        for stretch in stretches:
            start, end = round(stretch.start_s * rate_hz), round(stretch.end_s * rate_hz)
            row = rows[stretch.stream]
            row[start:end] = spoil_sound(row[start:end], rate_hz, rng)
        grids.append(codec.encode(_stems_of_rows(rows, rate_hz)))
    return grids


def _spoilt_tokens(
    tokens: TokenGrid, stranger: TokenGrid, config: DegradationConfig, rng: np.random.Generator
) -> list[TokenGrid]:
    codes = tokens.codes.copy()
    grids: list[TokenGrid] = []
    for stretches in _growing_stretches(tokens.duration_s, config, rng):
        for stretch in stretches:
            start, end = (round(time_s * tokens.frame_rate_hz) for time_s in (stretch.start_s, stretch.end_s))
            row = codes[stretch.stream]
            row[start:end] = spoil_codes(row[start:end], stranger.codes[stretch.stream], rng)
        grids.append(TokenGrid(codes.copy(), tokens.frame_rate_hz))
    return grids


def _growing_stretches(
    duration_s: float, config: DegradationConfig, rng: np.random.Generator
) -> Iterator[list[_Stretch]]:
    """For each version the stretches that it spoils beyond the version before; no two touch."""
    places = _stretches(duration_s, config, rng)
    order = list(rng.permutation(len(places)))
    done = 0
    for share in config.spoilt_shares:
        wanted = min(len(places), max(done + 1, round(share * len(places))))
        yield [places[place] for place in order[done:wanted]]
        done = wanted


def _stretches(duration_s: float, config: DegradationConfig, rng: np.random.Generator) -> list[_Stretch]:
    """The song cut into stretches of random length, each of them to be spoilt in one stem."""
    stretches: list[_Stretch] = []
    start_s = 0.0
    while start_s + config.shortest_stretch_s <= duration_s:
        end_s = min(duration_s, start_s + rng.uniform(config.shortest_stretch_s, config.longest_stretch_s))
        stream = Stream.VOCAL if rng.random() < config.vocal_share else Stream.ACCOMPANIMENT
        stretches.append(_Stretch(start_s, end_s, stream))
        start_s = end_s
    return stretches


def spoil_sound(
    sound: Float32[Array, " sample"], sample_rate_hz: int, rng: np.random.Generator
) -> Float32[Array, " sample"]:
    """A stretch of sound, as long as before, that stutters, drops out, comes late or is off pitch, drawn evenly."""
    match int(rng.integers(4)):
        case 0:
            piece = sound[: round(rng.uniform(0.05, 0.12) * sample_rate_hz)]
            return np.resize(piece, len(sound)).astype(np.float32)
        case 1:
            return np.zeros_like(sound)
        case 2:
            return np.roll(sound, round(rng.uniform(0.2, 0.45) * len(sound)))
        case _:
            semitones = rng.choice((-1, 1)) * rng.uniform(0.7, 1.5)
            position = np.arange(len(sound)) * 2 ** (semitones / 12) % max(1, len(sound) - 1)
            detuned: Float32[Array, " sample"] = np.interp(position, np.arange(len(sound)), sound).astype(np.float32)
            return detuned


def spoil_codes(
    codes: Int32[Array, " frame"], stranger: Int32[Array, " other_frame"], rng: np.random.Generator
) -> Int32[Array, " frame"]:
    """A stretch of codes, as long as before, shuffled, stuck, late or replaced by another song's, drawn evenly.

    Held notes are no worse for being shuffled: where less than half of the codes would change, they are replaced.
    """
    spoilt = codes
    match int(rng.integers(4)):
        case 0:
            spoilt = rng.permutation(codes)
        case 1:
            spoilt = np.resize(codes[: int(rng.integers(1, 4))], len(codes))
        case 2:
            spoilt = np.roll(codes, int(rng.integers(2, 5)))
    if np.mean(spoilt != codes) >= _LEAST_CHANGED_SHARE:
        return spoilt
    start = int(rng.integers(max(1, len(stranger) - len(codes) + 1)))
    return np.resize(stranger[start : start + len(codes)], len(codes))


def _stems_of_rows(rows: dict[Stream, Float32[Array, " sample"]], sample_rate_hz: int) -> Stems:
    vocal, accompaniment = rows[Stream.VOCAL], rows[Stream.ACCOMPANIMENT]
    parts: list[Waveform] = [
        mono_waveform(part, sample_rate_hz) for part in (vocal, accompaniment, vocal + accompaniment)
    ]
    return Stems(*parts)
