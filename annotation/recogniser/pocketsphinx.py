"""A second opinion on the words: PocketSphinx with a grammar that allows any row of the lyric vocabulary."""

import tempfile
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from annotation.phonemes.english import cmu_pronunciations
from annotation.recogniser.lexicon import Lexicon
from annotation.recogniser.protocol import Transcript
from levo.codec.intake import mono_at_rate
from levo.song.digest import digest_json
from levo.song.timing import TimedPhoneme, TimedWord, spread_evenly
from levo.song.waveform import Waveform

_SAMPLE_RATE_HZ = 16000
FRAME_RATE_HZ = 100
_PEAK = 0.9
_PRUNING = {"ds": 2, "maxhmmpf": 100, "beam": 1e-30, "pbeam": 1e-30, "wbeam": 1e-20}


class PocketSphinxRecogniser:
    """A `Recogniser` that learnt nothing from our songs: its acoustic model is CMU's for spoken American English.

    It is made for a voice alone: give it the vocal stem, since beside instruments it hears next to nothing. Its
    phonemes are those that the lexicon gives for the words it hears, spread evenly over each word.
    """

    def __init__(self, lexicon: Lexicon) -> None:
        known = cmu_pronunciations()
        missing = [word for word in lexicon.words if word not in known]
        if missing:
            raise ValueError(f"words {missing} are not in the CMU dictionary; PocketSphinx cannot listen for them")
        self.lexicon = lexicon
        self.digest = digest_json(["pocketsphinx", version("pocketsphinx"), _PRUNING, lexicon.digest])
        self._decoder = _word_loop_decoder({word: known[word] for word in lexicon.words})

    def __reduce__(self) -> tuple[type["PocketSphinxRecogniser"], tuple[Lexicon]]:
        """Copies in other processes are built anew, since the decoder is a C structure."""
        return PocketSphinxRecogniser, (self.lexicon,)

    def transcribe(self, songs: Sequence[Waveform]) -> list[Transcript]:
        """One transcript a song; `confidence` is the posterior of the words, as their geometric mean."""
        return [self._transcribe(song) for song in songs]

    def _transcribe(self, song: Waveform) -> Transcript:
        self._decoder.reinit_feat()
        self._decoder.start_utt()
        self._decoder.process_raw(pcm_of(song), full_utt=True)
        self._decoder.end_utt()
        segments = list(self._decoder.seg() or ())
        words = tuple(
            TimedWord(name, item.start_frame / FRAME_RATE_HZ, (item.end_frame + 1) / FRAME_RATE_HZ)
            for item in segments
            if (name := item.word.split("(")[0]) in self.lexicon.pronunciations
        )
        phonemes = tuple(phoneme for word in words for phoneme in self._spread(word))
        return Transcript(phonemes, words, self._posterior() ** (1 / len(words)) if words else 0.0)

    def _posterior(self) -> float:
        return min(1.0, float(self._decoder.hyp().prob))

    def _spread(self, word: TimedWord) -> list[TimedPhoneme]:
        names = self.lexicon.pronunciations[word.word]
        return [TimedPhoneme(*part) for part in spread_evenly(names, word.start_s, word.end_s)]


def pcm_of(song: Waveform) -> bytes:
    """A song as PocketSphinx hears it: 16 bits at 16 kHz, as loud as they allow."""
    samples = mono_at_rate(song, _SAMPLE_RATE_HZ)
    level = _PEAK * 32767 / max(float(np.abs(samples).max()), 1e-3)
    return np.round(samples * level).astype("<i2").tobytes()


def decoder_of(pronunciations: Mapping[str, Sequence[str]], **options: Any) -> Any:
    """A decoder of the English acoustic model that knows these words alone, each in all its pronunciations."""
    import pocketsphinx

    lines = [
        f"{word if number == 1 else f'{word}({number})'} {phones}"
        for word, ways in pronunciations.items()
        for number, phones in enumerate(ways, start=1)
    ]
    with tempfile.TemporaryDirectory() as folder:
        dictionary = Path(folder) / "words.dict"
        dictionary.write_text("\n".join(lines) + "\n")
        model = pocketsphinx.get_model_path("en-us/en-us")
        return pocketsphinx.Decoder(hmm=model, dict=str(dictionary), lm=None, loglevel="FATAL", **options)


def _word_loop_decoder(pronunciations: Mapping[str, Sequence[str]]) -> Any:
    """A decoder that hears any row of the words."""
    decoder = decoder_of(pronunciations, **_PRUNING)
    decoder.add_jsgf_string("song", f"#JSGF V1.0; grammar song; public <song> = ({' | '.join(pronunciations)})*;")
    decoder.activate_search("song")
    return decoder
