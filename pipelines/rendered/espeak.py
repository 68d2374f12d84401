"""Spoken words with phoneme times, from the espeak-ng library through ctypes (an extra: espeak-ng is GPL)."""

import ctypes
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int16

from annotation.phonemes.espeak_library import EspeakError, espeak_library
from levo.song.arrays import Array
from levo.song.timing import TimedPhoneme

_SYNCHRONOUS_OUTPUT = 2
_PHONEME_EVENTS = 1
_EVENT_LIST_ENDS = 0
_EVENT_PHONEME = 7
_CHARS_UTF8 = 1
_PARAMETER_RATE = 1
_NOISE_SEED = 1
_STRESS_MARKS = "',%="


@dataclass(frozen=True, slots=True, eq=False)
class SpokenWord:
    """A word as espeak-ng says it, cut to its first and last phoneme; phoneme times count from the cut."""

    samples: Int16[Array, " sample"]
    sample_rate_hz: int
    phonemes: tuple[TimedPhoneme, ...]


class _EventId(ctypes.Union):
    _fields_ = [("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8)]


class _Event(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _EventId),
    ]


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


class _Speaker:
    """The library, loaded afresh, and what it has said.

    The library keeps state from word to word (the phase of its pitch flutter) and seeds its noise by the clock, which
    moves phonemes by milliseconds. Loaded and seeded anew, at 15 ms a word, a word sounds the same wherever it is said.
    """

    def __init__(self, library: Any, sample_rate_hz: int) -> None:
        self._library = library
        self.sample_rate_hz = sample_rate_hz
        self._chunks: list[Int16[Array, " sample"]] = []
        self._events: list[tuple[str, int]] = []
        self._library.espeak_ng_SetRandSeed(ctypes.c_long(_NOISE_SEED))
        # ctypes keeps no reference to a callback; losing this one would crash the library.
        self._callback = _Callback(self._hear)
        self._library.espeak_SetSynthCallback(self._callback)

    def speak(self, word: str, voice: str, words_per_minute: int) -> SpokenWord:
        if self._library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise EspeakError(f"espeak-ng has no voice {voice!r}; expected a name such as 'en-us+f3'")
        self._library.espeak_SetParameter(_PARAMETER_RATE, words_per_minute, 0)
        text = word.encode() + b"\0"
        status = self._library.espeak_Synth(text, len(text), 0, 1, 0, _CHARS_UTF8, None, None)
        if status != 0 or not self._chunks:
            raise EspeakError(f"espeak-ng said nothing for {word!r} with voice {voice!r} (status {status})")
        return self._cut(word)

    def _hear(self, samples: Any, num_samples: int, events: Any) -> int:
        if samples and num_samples:
            self._chunks.append(np.ctypeslib.as_array(samples, (num_samples,)).copy())
        position = 0
        while events[position].type != _EVENT_LIST_ENDS:
            if events[position].type == _EVENT_PHONEME:
                self._events.append((events[position].id.string.decode(), events[position].sample))
            position += 1
        return 0

    def _cut(self, word: str) -> SpokenWord:
        ends = [sample for _, sample in self._events[1:]]
        spans = [
            (name.strip(_STRESS_MARKS), start, end)
            for (name, start), end in zip(self._events, ends, strict=False)
            if not name.startswith("_")
        ]
        if not spans or any(end <= start for _, start, end in spans):
            raise EspeakError(f"espeak-ng gave {word!r} phonemes {spans}; each needs a length, choose another word")
        first, last = spans[0][1], spans[-1][2]
        phonemes = tuple(
            TimedPhoneme(
                name.rstrip("2") or name, (start - first) / self.sample_rate_hz, (end - first) / self.sample_rate_hz
            )
            for name, start, end in spans
        )
        return SpokenWord(np.concatenate(self._chunks)[first:last], self.sample_rate_hz, phonemes)


def speak(word: str, voice: str, words_per_minute: int = 190) -> SpokenWord:
    """Let espeak-ng say one word; phoneme names are its mnemonics without stress and variant marks.

    Raises `ModuleNotFoundError` where the library is missing, and `EspeakError` where the voice is unknown or a phoneme
    has no length of its own.
    """
    with espeak_library(_SYNCHRONOUS_OUTPUT, _PHONEME_EVENTS) as (library, sample_rate_hz):
        return _Speaker(library, sample_rate_hz).speak(word, voice, words_per_minute)
