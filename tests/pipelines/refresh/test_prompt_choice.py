"""A night's prompts: even over kinds, fresh every night, the weakest among them, always the same for the same night."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.refresh.prompt_choice import PromptKind, choose_prompts

POOL = [
    PromptKind(f"{language}-{genre}-{number:02d}", language, genre, "verse chorus")
    for language, count in (("en", 20), ("zh", 20), ("ja", 3))
    for genre in ("pop", "rock")
    for number in range(count)
]
KINDS = {prompt.prompt_id: prompt.kind for prompt in POOL}


def test_kinds_have_equal_shares_as_far_as_they_go() -> None:
    chosen = choose_prompts(POOL, 24, "2026-11-25", {})
    counts = Counter(KINDS[one.prompt_id][:2] for one in chosen)
    assert sorted(counts.values()) == [3, 3, 4, 4, 5, 5]
    assert counts[("ja", "pop")] == counts[("ja", "rock")] == 3, "all that there are"
    assert sum(counts.values()) == 24


def test_every_night_is_fresh_and_the_same_night_the_same() -> None:
    nights = [{one.prompt_id for one in choose_prompts(POOL, 12, night, {})} for night in ("2026-11-25", "2026-11-26")]
    assert nights[0] != nights[1]
    again = {one.prompt_id for one in choose_prompts(list(reversed(POOL)), 12, "2026-11-25", {})}
    assert again == nights[0]


def test_a_share_goes_where_the_champion_is_weakest() -> None:
    weakness = {"en-pop-01": 0.9, "zh-rock-02": 0.8, "ja-pop-00": 0.7, "en-pop-03": 0.1, "zh-pop-00": -1.0}
    chosen = choose_prompts(POOL, 12, "2026-11-25", weakness)
    assert {one.prompt_id for one in chosen if one.why == "weak"} == {"en-pop-01", "zh-rock-02", "ja-pop-00"}
    few = choose_prompts(POOL, 12, "2026-11-25", {"en-pop-01": 0.9, "zh-pop-00": 0.0})
    assert [one.prompt_id for one in few if one.why == "weak"] == ["en-pop-01"]
    assert len(few) == 12


@given(number=st.integers(1, len(POOL)), share=st.floats(0, 1), night=st.text(max_size=5))
def test_the_number_is_kept_and_no_prompt_comes_twice(number: int, share: float, night: str) -> None:
    weakness = {prompt.prompt_id: float(place) for place, prompt in enumerate(POOL)}
    chosen = [one.prompt_id for one in choose_prompts(POOL, number, night, weakness, share)]
    assert len(chosen) == len(set(chosen)) == number
    assert chosen == sorted(chosen)


@pytest.mark.parametrize(
    ("number", "share", "problem"), [(0, 0.5, "num_prompts is 0"), (999, 0.5, "1 to 86"), (1, 2, "weak_share is 2")]
)
def test_what_cannot_be_chosen_is_named(number: int, share: float, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        choose_prompts(POOL, number, "night", {}, share)
    with pytest.raises(ValueError, match="'en-pop-00' is in the pool twice"):
        choose_prompts([POOL[0], POOL[0]], 1, "night", {})
