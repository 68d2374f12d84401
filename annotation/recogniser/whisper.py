"""Whisper as recogniser (A. Radford et al., arXiv 2212.04356): openai-whisper's checkpoints and decoding."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from annotation.phonemes.languages import LANGUAGES, phonemes_of, words_of
from annotation.recogniser.protocol import Transcript
from annotation.recogniser.repetition import LoopLimits, without_loops
from annotation.spectrum.usable import is_silent, require_usable
from levo.codec.intake import mono_at_rate
from levo.song.digest import digest_file, digest_json
from levo.song.timing import TimedPhoneme, TimedWord, spread_evenly
from levo.song.waveform import Waveform

SAMPLE_RATE_HZ = 16_000
_SHORTEST_S = 0.1


@dataclass(frozen=True, slots=True)
class WhisperSettings:
    """How songs are decoded; thresholds are Whisper's own, and a window that fails is drawn at the next temperature.

    `language` None has it heard in the first 30 s. A song in a language without phonemes here has words alone.
    """

    language: str | None = None
    temperatures: tuple[float, ...] = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
    compression_ratio_threshold: float = 2.4
    logprob_threshold: float = -1.0
    no_speech_threshold: float = 0.6
    beam_size: int | None = None
    condition_on_previous_text: bool = False
    seed: int = 0
    loops: LoopLimits = field(default_factory=LoopLimits)


@dataclass(frozen=True)
class WhisperRecogniser:
    """Words with times from Whisper's cross-attention, and their phonemes, spread evenly over each word.

    What random numbers the fallback draws depends on the seed alone: a song's transcript does not depend on others.
    """

    model: Any
    weights_digest: str
    settings: WhisperSettings = field(default_factory=WhisperSettings)

    @classmethod
    def load(
        cls, checkpoint: Path, settings: WhisperSettings | None = None, device: str = "cpu", *, half: bool = False
    ) -> "WhisperRecogniser":
        """Read a `.pt` checkpoint; `half` computes in float16, on CUDA alone. Raises `ValueError` for what is none."""
        from whisper import Whisper
        from whisper.model import ModelDimensions

        if half and not device.startswith("cuda"):
            raise ValueError(f"half precision on {device!r}; expected a CUDA device")
        try:
            content = torch.load(checkpoint, map_location="cpu", weights_only=True)
            model = Whisper(ModelDimensions(**content["dims"]))
            model.load_state_dict(content["model_state_dict"])
        except Exception as error:  # the unpickler, a missing key, or weights of another shape
            raise ValueError(
                f"{checkpoint} cannot be read as a Whisper checkpoint (dims, model_state_dict): {error}"
            ) from error
        _set_alignment_heads(model, checkpoint.stem)
        model = (model.half() if half else model.float()).to(device).eval()
        return cls(model, digest_file(checkpoint), settings or WhisperSettings())

    @cached_property
    def digest(self) -> str:
        """Weights, precision and settings."""
        parts = {"weights": self.weights_digest, "half": self._is_half, "settings": self.settings}
        return digest_json({"recogniser": "whisper", "version": 2, **parts})

    def transcribe(self, songs: Sequence[Waveform]) -> list[Transcript]:
        """One transcript a song; `confidence` is the geometric mean of the words' probabilities."""
        return [self._transcribe(song) for song in songs]

    def _transcribe(self, song: Waveform) -> Transcript:
        require_usable(song, "song", _SHORTEST_S)
        if is_silent(song.samples):
            return Transcript((), (), 0.0)
        found = self.decode(song)
        language = str(found["language"])
        said = [word for segment in found["segments"] for word in segment["words"]]
        words = without_loops(_timed(said, language), self.settings.loops)
        probabilities = np.array([float(word["probability"]) for word in said])
        confidence = float(np.exp(np.mean(np.log(np.maximum(probabilities, 1e-9))))) if said else 0.0
        return Transcript(_spread(words.words, language), words.words, confidence, language, words.num_cut)

    def decode(self, song: Waveform) -> Mapping[str, Any]:
        """Whisper's own result: text, language, segments with their words."""
        from whisper.transcribe import transcribe

        settings = self.settings
        samples = torch.from_numpy(np.array(mono_at_rate(song, SAMPLE_RATE_HZ), dtype=np.float32))
        device = self.model.device
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            torch.manual_seed(settings.seed)
            found: Mapping[str, Any] = transcribe(
                self.model,
                samples.to(device),
                word_timestamps=True,
                language=settings.language,
                temperature=settings.temperatures,
                compression_ratio_threshold=settings.compression_ratio_threshold,
                logprob_threshold=settings.logprob_threshold,
                no_speech_threshold=settings.no_speech_threshold,
                condition_on_previous_text=settings.condition_on_previous_text,
                beam_size=settings.beam_size,
                fp16=self._is_half,
            )
        return found

    @property
    def _is_half(self) -> bool:
        return next(iter(self.model.parameters())).dtype is torch.float16


def _set_alignment_heads(model: Any, name: str) -> None:
    """The heads that were found to follow the sound, where the file's name is a published model's."""
    import whisper

    heads = whisper._ALIGNMENT_HEADS.get(name)
    if heads is not None:
        model.set_alignment_heads(heads)


def _timed(said: Sequence[Mapping[str, Any]], language: str) -> tuple[TimedWord, ...]:
    """Words as they are compared; what one of Whisper's words falls into shares its time."""
    timed = []
    for word in said:
        names = words_of(word["word"], language) if language in LANGUAGES else (str(word["word"]).strip().lower(),)
        timed += [TimedWord(*part) for part in spread_evenly(names, float(word["start"]), float(word["end"]))]
    return tuple(word for word in timed if word.word)


def _spread(words: Sequence[TimedWord], language: str) -> tuple[TimedPhoneme, ...]:
    if language not in LANGUAGES:
        return ()
    spoken = phonemes_of([word.word for word in words], language)
    return tuple(
        TimedPhoneme(*part)
        for word, names in zip(words, spoken, strict=True)
        for part in spread_evenly(names, word.start_s, word.end_s)
    )
