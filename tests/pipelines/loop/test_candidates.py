"""Candidates: which seed draws which song, and what pairs are made of them."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from levo.model.sampling.request import SampledSong, SamplingParameters, SamplingRequest
from levo.song.prompt import PromptSet
from levo.song.scores import Axis, Score, missing_score
from levo.song.tokens import TokenGrid
from pipelines.corpus.records import AudioPlace, AudioReference
from pipelines.loop.config import AlignmentConfig
from pipelines.loop.metrics import MUSICALITY, PHONEME_ERROR_RATE, SIMILARITY_TO_TEXT
from pipelines.loop.preferences import pair_candidates, write_preferences
from pipelines.loop.records import CandidateRow, PromptRow, ScoredRow
from pipelines.loop.sampling import sample_candidates, song_number
from reward.noise import ScorerNoise


class EchoSampler:
    """Sings its seed, so that songs tell which seed drew them."""

    def __init__(self, digest: str) -> None:
        self._digest = digest

    def sample(self, requests: Sequence[SamplingRequest], progress: Callable[[int, int], None]) -> list[SampledSong]:
        progress(len(requests), len(requests))
        return [
            SampledSong(
                one.request_id, one.seed, TokenGrid(np.full((3, 4), one.seed % 500, np.int32)), True, self._digest
            )
            for one in requests
        ]


def prompt(name: str) -> PromptRow:
    codes = np.zeros((3, 2), np.int32)
    return PromptRow(name, PromptSet.PAIR, False, "[verse] moon star.", ("female",), 50, "other", codes)


def draw(names: list[str], digest: str = "a", number: int = 2, seed: int = 0) -> list[CandidateRow]:
    parameters = SamplingParameters()
    prompts = [prompt(name) for name in names]
    return sample_candidates(EchoSampler(digest), prompts, number, seed, parameters, lambda _done, _total: None)


def test_a_song_s_seed_depends_on_its_prompt_and_number_and_not_on_its_neighbours() -> None:
    alone = {row.candidate_id: row.seed for row in draw(["b"])}
    among = {row.candidate_id: row.seed for row in draw(["a", "b", "c"], number=5)}
    assert alone.items() <= among.items()
    assert len(set(among.values())) == len(among)


def test_a_long_prompt_gets_one_song_and_a_song_s_name_tells_its_number() -> None:
    prompts = [prompt("short"), replace(prompt("long"), is_long=True)]
    rows = sample_candidates(EchoSampler("a"), prompts, 3, 0, SamplingParameters(), lambda _done, _total: None)
    numbers = [(row.prompt_id, song_number(row.candidate_id)) for row in rows]
    assert numbers == [("short", 0), ("short", 1), ("short", 2), ("long", 0)]


def test_two_models_draw_with_the_same_seeds_under_other_names() -> None:
    one, other = draw(["a", "b"], "x" * 64), draw(["a", "b"], "y" * 64)
    assert [row.seed for row in one] == [row.seed for row in other]
    assert not {row.candidate_id for row in one} & {row.candidate_id for row in other}


def test_another_run_seed_draws_other_songs() -> None:
    assert {row.seed for row in draw(["a", "b"])}.isdisjoint(row.seed for row in draw(["a", "b"], seed=1))


CONFIG = AlignmentConfig(
    margins=dict.fromkeys(Axis, 0.1),
    noise_multiple=2.0,
    pairs_per_prompt=1,
    beta=0.1,
    learning_rate=dict.fromkeys(Axis, 1e-5),
    mixed_learning_rate=1e-5,
    batch_size=2,
    epochs=1,
    mixed_epochs=1,
)
NOISES = {
    metric.name: ScorerNoise(metric.name, "judge", 0.01, 10, 5)
    for metric in (PHONEME_ERROR_RATE, SIMILARITY_TO_TEXT, MUSICALITY)
}


def scored(candidate: CandidateRow, errors: float, similarity: float, musicality: float | None) -> ScoredRow:
    return ScoredRow(
        candidate_id=candidate.candidate_id,
        prompt_id=candidate.prompt_id,
        audio=AudioReference(AudioPlace.OBJECTS, "x", "0", 1),
        duration_s=1.0,
        heard_phonemes=(),
        heard_words=(),
        heard_tags=(),
        scores={
            PHONEME_ERROR_RATE.name: Score(errors),
            SIMILARITY_TO_TEXT.name: Score(similarity),
            MUSICALITY.name: missing_score("silent") if musicality is None else Score(musicality),
        },
    )


def test_fewer_errors_win_on_lyrics_and_more_similarity_on_the_prompt() -> None:
    first, second = draw(["a"])
    rows = [scored(first, 0.1, 0.2, None), scored(second, 0.9, 0.8, 1.0)]
    pairings = pair_candidates(rows, CONFIG, NOISES, "base")
    assert [pair.chosen_id for pair in pairings[Axis.LYRIC].pairs] == [first.candidate_id]
    assert [pair.chosen_id for pair in pairings[Axis.PROMPT].pairs] == [second.candidate_id]
    assert pairings[Axis.MUSICALITY].pairs == ()


def test_stored_preferences_hold_the_songs_and_what_they_were_asked_for(tmp_path: Path) -> None:
    first, second = draw(["a"])
    rows = [scored(first, 0.1, 0.2, 0.0), scored(second, 0.9, 0.8, 1.0)]
    pairs = pair_candidates(rows, CONFIG, NOISES, "base")[Axis.LYRIC].pairs
    candidates = {row.candidate_id: row for row in (first, second)}
    store = write_preferences(pairs, {"a": prompt("a")}, candidates, tmp_path / "pairs")
    assert len(store) == 1
    np.testing.assert_array_equal(store[0].chosen, first.codes)
    np.testing.assert_array_equal(store[0].rejected, second.codes)
    assert store[0].lyrics == "[verse] moon star."
    assert store[0].description == "female."


@pytest.mark.parametrize("axis", list(Axis))
def test_a_gap_within_the_margin_makes_no_pair(axis: Axis) -> None:
    first, second = draw(["a"])
    rows = [scored(first, 0.5, 0.5, 0.5), scored(second, 0.55, 0.55, 0.55)]
    assert pair_candidates(rows, CONFIG, NOISES, "base")[axis].report.num_ties == 1
