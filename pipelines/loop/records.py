"""The records of the closed loop: prompts as tables hold them, sampled candidates, and what the judges said of each."""

from dataclasses import dataclass

from jaxtyping import Int32

from levo.song.arrays import Array
from levo.song.candidate import ScoredCandidate
from levo.song.prompt import PromptSet
from levo.song.scores import Score
from pipelines.corpus.records import AudioReference


@dataclass(frozen=True, slots=True, eq=False)
class PromptRow:
    """A prompt as stored: lyrics in the released format, tags, and the codes of its audio prompt."""

    prompt_id: str
    prompt_set: PromptSet
    is_long: bool
    lyrics: str
    tags: tuple[str, ...]
    max_frames: int
    audio_prompt_id: str
    audio_prompt: Int32[Array, "stream frame"]


@dataclass(frozen=True, slots=True, eq=False)
class CandidateRow:
    """A sampled song as stored, with what it was asked for, so that it is scored without looking anything up."""

    candidate_id: str
    prompt_id: str
    seed: int
    model_digest: str
    ended: bool
    lyrics: str
    tags: tuple[str, ...]
    codes: Int32[Array, "stream frame"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredRow:
    """What the judges said of a candidate, what the recogniser heard in it, and where its sound lies."""

    candidate_id: str
    prompt_id: str
    audio: AudioReference
    duration_s: float
    heard_phonemes: tuple[str, ...]
    heard_words: tuple[str, ...]
    heard_tags: tuple[str, ...]
    scores: dict[str, Score]

    @property
    def candidate(self) -> ScoredCandidate:
        """What pairing and evaluation read."""
        return ScoredCandidate(self.candidate_id, self.prompt_id, self.scores)
