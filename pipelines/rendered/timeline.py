"""What sounds when in a planned song: its words, phonemes and sections with their times."""

from dataclasses import dataclass

import numpy as np

from levo.song.timing import TimedPhoneme, TimedSection, TimedWord
from levo.song.tokens import FRAME_RATE_HZ
from pipelines.rendered.plan import SongPlan
from pipelines.rendered.voice import Voice


@dataclass(frozen=True, slots=True)
class Timeline:
    """The timed parts of one song, each in the order of its start."""

    words: tuple[TimedWord, ...]
    phonemes: tuple[TimedPhoneme, ...]
    sections: tuple[TimedSection, ...]


def time_song(plan: SongPlan, voice: Voice) -> Timeline:
    """The times that a rendering of this plan has; nothing is rendered."""
    words = _words(plan)
    return Timeline(words, _phonemes(plan, voice, words), _sections(plan))


def _beat_s(plan: SongPlan) -> float:
    return plan.style.tempo.frames_per_beat / FRAME_RATE_HZ


def _words(plan: SongPlan) -> tuple[TimedWord, ...]:
    beat_s = _beat_s(plan)
    return tuple(TimedWord(note.word, note.beat * beat_s, (note.beat + 1) * beat_s) for note in plan.sung_notes)


def _phonemes(plan: SongPlan, voice: Voice, words: tuple[TimedWord, ...]) -> tuple[TimedPhoneme, ...]:
    singer, frames = plan.style.singer.name, plan.style.tempo.frames_per_beat
    return tuple(
        TimedPhoneme(item.phoneme, word.start_s + item.start_s, min(word.start_s + item.end_s, word.end_s))
        for word in words
        for item in voice.timings[singer, word.word, frames]
    )


def _sections(plan: SongPlan) -> tuple[TimedSection, ...]:
    beat_s = _beat_s(plan)
    ends = np.cumsum([section.num_beats for section in plan.sections])
    return tuple(
        TimedSection(section.tag, (int(end) - section.num_beats) * beat_s, int(end) * beat_s)
        for section, end in zip(plan.sections, ends, strict=True)
    )
