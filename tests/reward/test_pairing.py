from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from levo.song.candidate import ScoredCandidate
from levo.song.scores import Axis, Metric, Score, missing_score
from reward.noise import ScorerNoise
from reward.pairing import TIE, TOO_FEW_SCORES, PairingRule, make_pairs

PER = Metric("phoneme_error_rate", "lower", "share", "training")
SIMILARITY = Metric("similarity", "higher", "cosine", "training")
VALUES = st.one_of(st.none(), st.integers(0, 20).map(lambda value: value / 10))
PROMPTS = st.lists(st.lists(VALUES, max_size=7), max_size=5)


def noise_of(metric: Metric, standard_deviation: float = 0.0) -> ScorerNoise:
    return ScorerNoise(metric.name, "scorer", standard_deviation, 8, 3)


def songs_of(prompts: list[list[float | None]], metric: Metric) -> list[ScoredCandidate]:
    return [
        ScoredCandidate(
            f"{prompt}-{index}",
            f"p{prompt}",
            {metric.name: missing_score("too short") if value is None else Score(value)},
        )
        for prompt, values in enumerate(prompts)
        for index, value in enumerate(values)
    ]


@given(PROMPTS, st.sampled_from([PER, SIMILARITY]), st.floats(0, 1), st.floats(0, 0.5), st.randoms())
def test_every_pair_points_the_right_way_by_more_than_margin_and_noise_and_order_changes_nothing(
    prompts: list[list[float | None]], metric: Metric, margin: float, noise: float, shuffler: object
) -> None:
    rule = PairingRule(Axis.LYRIC, metric, margin, noise_multiple=2.0)
    songs = songs_of(prompts, metric)
    found = make_pairs(songs, rule, noise_of(metric, noise), "model")
    assert make_pairs(songs[::-1], rule, noise_of(metric, noise), "model") == found
    values = {song.candidate_id: song.scores[metric.name].value for song in songs}
    for pair in found.pairs:
        assert pair.chosen_score == values[pair.chosen_id]
        assert pair.rejected_score == values[pair.rejected_id]
        gain = pair.chosen_score - pair.rejected_score
        assert (gain if metric.better == "higher" else -gain) == pair.gap > max(margin, 2.0 * noise)


@given(PROMPTS)
def test_the_report_accounts_for_every_prompt_candidate_and_attempt(prompts: list[list[float | None]]) -> None:
    found = make_pairs(songs_of(prompts, PER), PairingRule(Axis.LYRIC, PER, 0.3), noise_of(PER), "model")
    present = [[value for value in values if value is not None] for values in prompts]
    asked = [values for values, kept in zip(prompts, present, strict=True) if values or kept]
    report = found.report
    assert (
        report.num_prompts
        == len(asked)
        == len({pair.prompt_id for pair in found.pairs}) + sum(report.prompts_without_pair.values())
    )
    assert report.num_pairs + report.num_ties == sum(min(2, len(values) // 2) for values in present)
    assert report.num_candidates - sum(map(len, present)) == sum(report.missing.values())
    assert report.num_pairs == len(found.pairs) == len({pair.pair_id for pair in found.pairs})


@given(st.lists(st.integers(0, 100), min_size=2, max_size=8))
def test_the_first_pair_has_the_widest_gap_of_all(values: list[int]) -> None:
    found = make_pairs(
        songs_of([[float(value) for value in values]], PER), PairingRule(Axis.LYRIC, PER, 0), noise_of(PER), "m"
    )
    widest = max(abs(first - second) for first, second in combinations(values, 2))
    assert [pair.gap for pair in found.pairs[:1]] == ([float(widest)] if widest else [])


def test_best_goes_with_worst_and_second_with_second_worst() -> None:
    songs = songs_of([[0.5, 0.1, 0.9, 0.2, 0.8, 0.45]], PER)
    found = make_pairs(songs, PairingRule(Axis.LYRIC, PER, 0.1), noise_of(PER), "model")
    assert [(pair.chosen_id, pair.rejected_id) for pair in found.pairs] == [("0-1", "0-2"), ("0-3", "0-4")]
    assert found.pairs[0].scorer_digest == "scorer"
    assert found.pairs[0].model_digest == "model"


def test_ties_and_missing_scores_are_counted_with_their_reasons() -> None:
    songs = [*songs_of([[0.5, 0.52], [None, 0.3], [0.0, 1.0]], PER), ScoredCandidate("x", "p1", {})]
    report = make_pairs(songs, PairingRule(Axis.LYRIC, PER, 0.0), noise_of(PER, 0.02), "model").report
    assert report.missing == {"never scored": 1, "too short": 1}
    assert report.prompts_without_pair == {TIE: 1, TOO_FEW_SCORES: 1}
    assert (report.num_pairs, report.num_ties, report.threshold) == (1, 1, 0.04)


def test_a_held_out_judge_a_foreign_noise_and_a_doubled_candidate_are_refused() -> None:
    with pytest.raises(ValueError, match="held-out judges make no pair"):
        PairingRule(Axis.LYRIC, Metric("defects", "lower", "points", "held_out"), 0.1)
    rule = PairingRule(Axis.LYRIC, PER, 0.1)
    with pytest.raises(ValueError, match="noise of metric 'similarity'"):
        make_pairs([], rule, noise_of(SIMILARITY), "model")
    with pytest.raises(ValueError, match="0-0 is there twice"):
        make_pairs(songs_of([[0.1]], PER) * 2, rule, noise_of(PER), "model")
