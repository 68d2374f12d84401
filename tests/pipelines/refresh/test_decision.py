"""When a night's pairs are trained on: each rule alone, with its reason."""

from dataclasses import replace

import pytest

from levo.song.scores import Axis
from pipelines.refresh.decision import AxisFacts, DecisionRules, RefreshFacts, decide

GOOD = AxisFacts(num_pairs=200, num_new=80, num_tonight=80, num_candidates=160, judge_agreed=13, judge_votes=16)
FACTS = RefreshFacts({Axis.LYRIC: GOOD, Axis.PROMPT: GOOD}, nights_since_training=3)


def with_lyric(**changed: float) -> RefreshFacts:
    return replace(FACTS, axes={Axis.LYRIC: replace(GOOD, **changed), Axis.PROMPT: GOOD})  # type: ignore[arg-type]


def test_pairs_enough_and_new_enough_are_trained_on() -> None:
    decision = decide(FACTS)
    assert decision.retrains
    assert decision.axes == (Axis.LYRIC, Axis.PROMPT)
    assert decision.reasons == ("lyric: 80 new of 200 pairs", "prompt: 80 new of 200 pairs")
    assert decision.alarms == ()


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        (with_lyric(num_pairs=63), "80 new of 63 pairs; not trained on: fewer than 64 pairs"),
        (with_lyric(num_new=39), "39 new of 200 pairs; not trained on: fewer than 20% are new"),
        (with_lyric(judge_agreed=5), "80 new of 200 pairs; not trained on: its alarm"),
    ],
)
def test_an_axis_that_does_not_pay_is_left_out_with_its_reason(facts: RefreshFacts, reason: str) -> None:
    decision = decide(facts)
    assert decision.axes == (Axis.PROMPT,)
    assert decision.reasons[0] == f"lyric: {reason}"


def test_the_first_training_needs_pairs_and_no_news() -> None:
    first = with_lyric(num_new=0, was_trained=False)
    assert decide(first).axes == (Axis.LYRIC, Axis.PROMPT), "it goes by the preference: another was trained before"
    assert decide(replace(first, nights_since_training=None)).axes == (Axis.LYRIC, Axis.PROMPT)
    assert not decide(replace(with_lyric(num_pairs=1), axes={Axis.LYRIC: replace(GOOD, num_pairs=1)})).retrains


def test_too_soon_is_no_training_at_all() -> None:
    decision = decide(replace(FACTS, nights_since_training=0))
    assert not decision.retrains
    assert decision.reasons == ("0 nights since the last training; expected 1 or more",)


def test_a_sudden_drop_of_the_yield_is_an_alarm_and_no_training() -> None:
    decision = decide(replace(FACTS, earlier_yields={Axis.LYRIC: (1.2, 1.1, 1.3)}))
    assert decision.axes == (Axis.PROMPT,)
    assert decision.alarms == ("lyric: 0.50 pairs a candidate, 1.20 in the nights before",)
    assert decide(replace(FACTS, earlier_yields={Axis.LYRIC: (0.6, 0.9)})).alarms == ()


def test_an_alarm_is_told_whatever_is_decided() -> None:
    facts = replace(with_lyric(judge_agreed=2), nights_since_training=0)
    assert decide(facts).alarms == (
        "lyric: judges that made no pair agree with 2 of 16, which is less than 55% beyond chance",
    )


@pytest.mark.parametrize(("agreed", "votes", "is_alarm"), [(6, 16, False), (5, 16, True), (0, 3, False), (0, 4, True)])
def test_few_votes_against_are_chance(agreed: int, votes: int, is_alarm: bool) -> None:
    decision = decide(with_lyric(judge_agreed=agreed, judge_votes=votes))
    assert bool(decision.alarms) == is_alarm
    assert (Axis.LYRIC in decision.axes) != is_alarm


def test_no_candidates_are_no_yield() -> None:
    assert AxisFacts(0, 0, 0, 0).pair_yield == 0


def test_the_yield_is_that_of_tonight_however_many_nights_were_not_trained_on() -> None:
    facts = replace(with_lyric(num_new=900, num_tonight=10), earlier_yields={Axis.LYRIC: (0.5, 0.5)})
    assert decide(facts).alarms == ("lyric: 0.06 pairs a candidate, 0.50 in the nights before",)


def test_rules_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="min_agreement is 2; expected a share"):
        DecisionRules(min_agreement=2)
    with pytest.raises(ValueError, match="min_pairs is 0"):
        DecisionRules(min_pairs=0)
