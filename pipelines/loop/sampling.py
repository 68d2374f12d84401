"""Candidates: requests made from prompts, with seeds of their own, and the songs that come back as table rows."""

from collections.abc import Callable, Sequence
from typing import Protocol

from levo.model.conditions import Conditions
from levo.model.sampling.request import SampledSong, SamplingParameters, SamplingRequest
from levo.song.description import Description
from levo.song.digest import digest_bytes
from levo.song.tokens import TokenGrid
from pipelines.loop.records import CandidateRow, PromptRow

_SEED_BITS = 48


class Sampler(Protocol):
    """Whatever draws songs: Ray Serve, or an engine in this process; answers come in the requests' order."""

    def sample(self, requests: Sequence[SamplingRequest], progress: Callable[[int, int], None]) -> list[SampledSong]:
        """Draw every request's song."""
        ...


def sample_candidates(
    sampler: Sampler,
    prompts: Sequence[PromptRow],
    num_per_prompt: int,
    seed: int,
    parameters: SamplingParameters,
    progress: Callable[[int, int], None],
) -> list[CandidateRow]:
    """Draw `num_per_prompt` songs for each prompt, one for a long one, which takes as much as five short ones.

    A song's seed depends on the run's seed, its prompt and its number: two models that are given the
    same prompts draw with the same seeds, so that their songs differ by the models alone.
    """
    asked = [(prompt, number) for prompt in prompts for number in range(num_songs(prompt, num_per_prompt))]
    requests = [_request(prompt, number, seed, parameters) for prompt, number in asked]
    songs = sampler.sample(requests, progress)
    return [_row(prompt, song) for (prompt, _), song in zip(asked, songs, strict=True)]


def num_songs(prompt: PromptRow, num_per_prompt: int) -> int:
    """How many songs a prompt gets where short ones get `num_per_prompt`."""
    return 1 if prompt.is_long else num_per_prompt


def conditions_of(prompt: PromptRow) -> Conditions:
    """What the song model is given; no musicality tier is asked for, as a user would leave it.

    A prompt without tags has no description, as the songs whose description training drops.
    """
    description = Description(prompt.tags).text if prompt.tags else None
    return Conditions(prompt.lyrics, description, TokenGrid(prompt.audio_prompt))


def song_number(candidate_id: str) -> int:
    """Which of its prompt's songs a candidate is, from 0."""
    return int(candidate_id.split("/")[1])


def song_model(candidate_id: str) -> str:
    """The short digest of the model that sang a candidate."""
    return candidate_id.split("/")[2]


def short_digest(model_digest: str) -> str:
    """As much of a model's digest as tells the models of a run apart."""
    return model_digest[:12]


def _request(prompt: PromptRow, number: int, seed: int, parameters: SamplingParameters) -> SamplingRequest:
    name = f"{prompt.prompt_id}/{number}"
    song_seed = int(digest_bytes(name.encode(), str(seed).encode())[: _SEED_BITS // 4], 16)
    return SamplingRequest(name, conditions_of(prompt), song_seed, prompt.max_frames, parameters)


def _row(prompt: PromptRow, song: SampledSong) -> CandidateRow:
    return CandidateRow(
        candidate_id=f"{song.request_id}/{short_digest(song.model_digest)}",
        prompt_id=prompt.prompt_id,
        seed=song.seed,
        model_digest=song.model_digest,
        ended=song.ended,
        lyrics=prompt.lyrics,
        tags=prompt.tags,
        codes=song.tokens.codes,
    )
