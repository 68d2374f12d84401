"""Lyrics aligned by the CTC recogniser, whose lexicon spells their words."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from annotation.recogniser.ctc import CtcRecogniser
from annotation.recogniser.forced_alignment import AlignedLine, FrameScores, align_lyrics
from annotation.recogniser.network import BLANK
from levo.song.digest import digest_json
from levo.song.waveform import Waveform


@dataclass(frozen=True, eq=False)
class LexiconAligner:
    """A `LyricsAligner` for words of one lexicon; phonemes fill their time, by the head that is trained on times."""

    recogniser: CtcRecogniser

    @cached_property
    def digest(self) -> str:
        """The recogniser's weights and lexicon."""
        return digest_json({"aligner": "lexicon", "version": 1, "recogniser": self.recogniser.digest})

    def align(self, vocal: Waveform, lines: Sequence[Sequence[str]]) -> tuple[AlignedLine, ...]:
        """The lines with their times; `ValueError` names words that the lexicon does not know."""
        lexicon, rate = self.recogniser.lexicon, self.recogniser.config.hop_rate_hz
        sounding = self.recogniser.hear(vocal).sounding
        scores = FrameScores(sounding, ("", *lexicon.phonemes), rate, BLANK)
        return align_lyrics(scores, lines, lambda words: [lexicon.phonemes_of([word]) for word in words])
