"""The gate: better somewhere, worse nowhere beyond its limit, by judges that made no pairs; chance is bounded."""

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
    assert num_promoted <= 10, "5 % of 200, and one look spends half of that"


def test_every_look_at_the_same_prompts_spends_what_is_left() -> None:
    coverages = [look_coverage(number) for number in range(8)]
    assert coverages[:3] == pytest.approx([0.975, 0.9875, 0.99375])
    assert sum(1 - coverage for coverage in coverages) < 0.05
    narrow, wide = (gate([metric(ERRORS, 0.2)], looks).verdicts[0] for looks in (0, 6))
    assert wide.low < narrow.low < narrow.high < wide.high
    with pytest.raises(ValueError, match="num_looks_before is -1"):
        look_coverage(-1)


def test_a_limit_below_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match=r"limit of tag_agreement is -0\.1"):
        metric(TAGS, 0.0, limit=-0.1)


def test_a_handful_of_prompts_promotes_nobody_however_clear_it_looks() -> None:
    few, many = (gate([metric(ERRORS, 0.5, num_prompts=number)], 0) for number in (6, 12))
    assert few.verdicts[0].low > 0, "the interval of six prompts leaves zero out"
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
