"""The embedded aligner: PocketSphinx's English acoustic model, other languages' words in the nearest English sounds."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from itertools import chain
from typing import Any

from annotation.phonemes.arpabet import nearest_english
from annotation.phonemes.english import cmu_pronunciations
from annotation.phonemes.languages import check_language, phonemes_of
from annotation.recogniser.forced_alignment import AlignedLine, AlignedWord, in_lines
from annotation.recogniser.pocketsphinx import FRAME_RATE_HZ, decoder_of, pcm_of
from annotation.spectrum.usable import require_usable
from levo.song.digest import digest_json
from levo.song.waveform import Waveform

_SHORTEST_S = 0.1


@dataclass(frozen=True)
class PocketSphinxAligner:
    """A `LyricsAligner` in need of no weights; words are given as `words_of` of their language gives them.

    The library's search is pruned, and lyrics need not end with the sound: in a narrow beam it can lose the way, in a
    wide one stop before the last words. The first of `beams` in which all words are found counts. A word's
    `confidence` is the geometric mean over its frames of its sounds' likelihood against each frame's likeliest sound;
    None where that is too small a number to be told.
    """

    language: str = "en"
    beams: tuple[float, ...] = (1e-60, 1e-100, 1e-48)

    def __post_init__(self) -> None:
        check_language(self.language)

    @cached_property
    def digest(self) -> str:
        """The library, which brings its model, and how it is asked."""
        asked = {"language": self.language, "beams": self.beams}
        return digest_json({"aligner": "pocketsphinx", "version": 1, "library": version("pocketsphinx"), **asked})

    def align(self, vocal: Waveform, lines: Sequence[Sequence[str]]) -> tuple[AlignedLine, ...]:
        """The lines with their times.

        Raises `ValueError` for empty or non-finite audio, and where no search finds the lyrics in it.
        """
        require_usable(vocal, "vocal", _SHORTEST_S)
        words = list(chain.from_iterable(lines))
        ways = self._pronunciations(words)
        places = [place for place, spoken in enumerate(ways) if spoken]
        if words and not places:
            raise ValueError(f"none of the words {words[:5]} ... has phonemes in language {self.language!r}")
        found = self._search(pcm_of(vocal), [ways[place] for place in places]) if places else []
        sung = {place: _aligned(words[place], item) for place, item in zip(places, found, strict=True)}
        return in_lines(sung, lines)

    def _pronunciations(self, words: Sequence[str]) -> list[tuple[str, ...]]:
        """Each word's pronunciations, phones separated by spaces; several in English, where the dictionary has them."""
        spoken = phonemes_of(words, self.language)
        ways = [" ".join(nearest_english(phonemes, self.language)) for phonemes in spoken]
        known = cmu_pronunciations() if self.language == "en" else {}
        return [known.get(word) or ((way,) if way else ()) for word, way in zip(words, ways, strict=True)]

    def _search(self, pcm: bytes, ways: Sequence[tuple[str, ...]]) -> list[Any]:
        """PocketSphinx's segments of the words, in order."""
        names = {spoken: f"w{number}" for number, spoken in enumerate(dict.fromkeys(ways))}
        for beam in self.beams:
            decoder = decoder_of({name: way for way, name in names.items()}, beam=beam, pbeam=beam, wbeam=beam)
            decoder.set_align_text(" ".join(names[spoken] for spoken in ways))
            decoder.start_utt()
            decoder.process_raw(pcm, full_utt=True)
            decoder.end_utt()
            found = [item for item in decoder.seg() or () if item.word.startswith("w")]
            if len(found) == len(ways):
                return found
        raise ValueError(f"{len(ways)} words are not found in order in {len(pcm) / 32_000:.2f} s of sound")


def _aligned(word: str, item: Any) -> AlignedWord:
    num_frames = item.end_frame - item.start_frame + 1
    confidence = min(1.0, float(item.ascore) ** (1 / num_frames)) if item.ascore > 0 else None
    return AlignedWord(word, item.start_frame / FRAME_RATE_HZ, (item.end_frame + 1) / FRAME_RATE_HZ, confidence)
