"""The gate: better somewhere, worse nowhere beyond its limit, by judges that made no pairs; chance is bounded."""

from dataclasses import replace

import numpy as np
import pytest

from levo.song.scores import Metric
from pipelines.refresh.gate import GateMetric, gate, look_coverage

ERRORS = Metric("pocketsphinx_error_rate", "lower", "errors per phoneme", "held_out")
TAGS = Metric("tag_agreement", "higher", "share", "held_out")
TRAINED = Metric("similarity_to_text", "higher", "cosine", "training")


def metric(kind: Metric, gain: float, seed: int = 0, limit: float = 0.05, num_prompts: int = 60) -> GateMetric:
    """A champion and a candidate whose true gain is this, each score with noise of 0.1."""
    generator = np.random.default_rng(seed)
    names = [f"prompt{number}" for number in range(num_prompts)]
    hard = generator.normal(0, 1, num_prompts)
    sign = 1 if kind.better == "higher" else -1
    noise = generator.normal(0, 0.1, (2, num_prompts))
    champion = dict(zip(names, (hard + noise[0]).tolist(), strict=True))
    candidate = dict(zip(names, (hard + noise[1] + sign * gain).tolist(), strict=True))
    return GateMetric(kind, champion, candidate, limit)


def test_better_on_one_and_no_worse_on_the_other_is_promoted() -> None:
    decision = gate([metric(ERRORS, 0.2), metric(TAGS, 0.02, 1)], 0)
    assert decision.is_promoted
    assert decision.reasons == ("better: pocketsphinx_error_rate",)
    gains = {verdict.name: verdict.gain for verdict in decision.verdicts}
    assert gains["pocketsphinx_error_rate"] == pytest.approx(0.2, abs=0.05), "fewer errors are a gain"


def test_worse_beyond_its_limit_is_not() -> None:
    decision = gate([metric(ERRORS, 0.2), metric(TAGS, -0.1, 1)], 0)
    assert not decision.is_promoted
    assert decision.reasons[0] == "better: pocketsphinx_error_rate"
    assert decision.reasons[1].startswith("tag_agreement may be worse by 0.1")


def test_judges_that_make_pairs_promote_nobody() -> None:
    decision = gate([metric(TRAINED, 0.5), metric(TAGS, 0.0, 1)], 0)
    assert not decision.is_promoted
    assert decision.reasons == ("no held-out judge finds it better",)
    with pytest.raises(ValueError, match="no metric of a held-out judge"):
        gate([metric(TRAINED, 0.5)], 0)


def test_pleasing_the_training_judges_alone_is_an_alarm() -> None:
    decision = gate([metric(TRAINED, 0.5), metric(TAGS, -0.3, 1, limit=9), metric(ERRORS, 0.4, 2)], 0)
    assert not decision.is_promoted
    assert decision.alarms == (
        "similarity_to_text rose while tag_agreement fell: it pleases the judges it was trained by",
    )


def test_equal_candidates_pass_by_chance_less_often_than_the_error_rate() -> None:
    num_promoted = sum(
        gate([metric(ERRORS, 0.0, 2 * seed, 9), metric(TAGS, 0.0, 2 * seed + 1, 9)], 0).is_promoted
        for seed in range(200)
    )
    assert num_promoted <= 10, "5 % of 200, and one look spends three fifths of that"


def test_all_looks_at_the_same_prompts_together_spend_the_error_rate() -> None:
    spent = np.array([1 - look_coverage(number) for number in range(20_000)])
    assert spent[:3] == pytest.approx(spent[0] / np.array([1, 4, 9]))
    assert spent.sum() == pytest.approx(0.05, abs=1e-5)
    assert spent.sum() < 0.05
    narrow, wide = (gate([metric(ERRORS, 0.2)], looks).verdicts[0] for looks in (0, 6))
    assert wide.surely_low < narrow.surely_low < narrow.low
    assert (wide.low, wide.high) == (narrow.low, narrow.high), "limits and alarms spend nothing"
    with pytest.raises(ValueError, match="num_looks_before is -1"):
        look_coverage(-1)


@pytest.mark.parametrize("num_looks_before", [7, 30])
def test_a_clear_gain_is_promoted_at_any_look(num_looks_before: int) -> None:
    decision = gate([metric(ERRORS, 0.3), metric(TAGS, 0.0, 1, limit=9)], num_looks_before)
    assert decision.is_promoted
    assert decision.verdicts[0].p_value <= decision.verdicts[0].level


def test_a_gate_that_can_promote_nobody_says_so() -> None:
    assert gate([metric(ERRORS, 0.5, num_prompts=7)], 0).alarms == (), "1/128 is below half of what a look spends"
    few, worn = gate([metric(ERRORS, 0.5, num_prompts=6)], 0), gate([metric(ERRORS, 0.5, num_prompts=9)], 9)
    for decision, told in ((few, "6 prompts that were asked 0 times"), (worn, "9 prompts that were asked 9 times")):
        assert not decision.is_promoted
        assert decision.alarms == (
            f"no candidate can be promoted on {told} before: begin a line with more gate prompts",
        )


def test_a_candidate_whose_songs_are_not_heard_is_refused_with_the_reason() -> None:
    whole = metric(ERRORS, 0.3)
    assert gate([replace(whole, unheard=0.05)], 0).is_promoted
    decision = gate([replace(whole, unheard=0.4)], 0)
    assert not decision.is_promoted
    assert decision.reasons[-1] == "pocketsphinx_error_rate lacks 40% of the songs, more than 5%"


@pytest.mark.parametrize("side", ["champion", "candidate"])
def test_a_model_without_any_song_is_refused_and_no_error(side: str) -> None:
    whole = metric(ERRORS, 0.3)
    mute = replace(whole, champion={}) if side == "champion" else replace(whole, candidate={})
    decision = gate([mute, metric(TAGS, 0.3), metric(TRAINED, 0.3)], 0)
    assert not decision.is_promoted
    assert decision.reasons == (
        "better: tag_agreement",
        "pocketsphinx_error_rate was heard of both on fewer than 2 prompts",
    )


def test_a_limit_does_not_close_with_the_looks() -> None:
    decisions = [gate([metric(ERRORS, 0.4), metric(TAGS, 0.0, 1, limit=0.06)], looks) for looks in (0, 30)]
    assert [decision.is_promoted for decision in decisions] == [True, True]


def test_a_limit_below_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match=r"limit of tag_agreement is -0\.1"):
        metric(TAGS, 0.0, limit=-0.1)


def test_a_handful_of_prompts_promotes_nobody_however_clear_it_looks() -> None:
    few, many = (
        gate([metric(ERRORS, 0.5, num_prompts=number), metric(TAGS, 0.0, 1, 9, number)], 0) for number in (6, 12)
    )
    assert few.verdicts[0].surely_low > 0, "the interval of six prompts leaves zero out"
    assert few.verdicts[0].p_value == 1 / 64
    assert not few.is_promoted
    assert many.is_promoted


@pytest.mark.parametrize("num_prompts", [6, 12, 24])
def test_equal_candidates_pass_by_chance_as_rarely_with_few_prompts(num_prompts: int) -> None:
    num_promoted = sum(
        gate([metric(ERRORS, 0.0, seed, 9, num_prompts), metric(TAGS, 0.0, seed + 1000, 9, num_prompts)], 0).is_promoted
        for seed in range(200)
    )
    assert num_promoted <= 10
