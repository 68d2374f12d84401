"""The trial of the audio prompt: both arms ask the same but for the audio, and the wrong audio is another singer's."""

import numpy as np
import pytest

from levo.song.digest import digest_bytes
from levo.song.prompt import PromptSet
from pipelines.loop.prompt_trial import NUM_TRIAL_PROMPTS, Asking, trial_prompts
from pipelines.loop.records import PromptRow
from pipelines.loop.sampling import conditions_of
from pipelines.loop.song_sets import BASE_SETS, PAIR_SONGS, RIGHT_AUDIO_SONGS, WRONG_AUDIO_SONGS, SongSet
from pipelines.rendered.plan import plan_song
from pipelines.rendered.world import WorldConfig


def drawn(num_prompts: int, num_long: int = 0) -> tuple[list[PromptRow], dict[str, str]]:
    """Prompts with styles as a run draws them, each with an audio prompt of its own, and their singers."""
    plans = [plan_song(f"prompt-{number:05d}", 0, WorldConfig()) for number in range(num_prompts)]
    rows = [
        PromptRow(
            plan.song_id,
            PromptSet.REPORT,
            number < num_long,
            plan.lyrics.text,
            plan.description.tags,
            50,
            f"{plan.song_id}-companion",
            np.full((3, 4), number, np.int32),
        )
        for number, plan in enumerate(plans)
    ]
    return rows, {plan.song_id: plan.style.singer.name for plan in plans}


def test_a_wrong_prompt_has_another_singer_and_other_tags() -> None:
    rows, singers = drawn(96)
    trials = trial_prompts(rows, singers)
    assert len(trials) == NUM_TRIAL_PROMPTS
    for trial in trials:
        assert singers[trial.wrong.prompt_id] != singers[trial.prompt.prompt_id]
        assert not set(trial.wrong.tags) & set(trial.prompt.tags)


def test_no_closer_prompt_is_taken_than_the_furthest_there_is() -> None:
    rows, singers = drawn(12)
    for trial in trial_prompts(rows, singers):
        shared = [
            len(set(row.tags) & set(trial.prompt.tags))
            for row in rows
            if singers[row.prompt_id] != singers[trial.prompt.prompt_id]
        ]
        assert len(set(trial.wrong.tags) & set(trial.prompt.tags)) == min(shared)


def test_the_arms_differ_by_the_audio_alone_and_neither_is_described() -> None:
    rows, singers = drawn(24)
    for trial in trial_prompts(rows, singers):
        right, wrong = trial.asked(Asking.RIGHT_AUDIO), trial.asked(Asking.WRONG_AUDIO)
        assert (right.prompt_id, right.lyrics, right.max_frames) == (wrong.prompt_id, wrong.lyrics, wrong.max_frames)
        assert (conditions_of(right).description, conditions_of(wrong).description) == (None, None)
        np.testing.assert_array_equal(right.audio_prompt, trial.prompt.audio_prompt)
        np.testing.assert_array_equal(wrong.audio_prompt, trial.wrong.audio_prompt)
        assert wrong.audio_prompt_id == trial.wrong.audio_prompt_id != right.audio_prompt_id


def test_long_prompts_are_not_in_the_trial_and_the_choice_goes_by_the_ids_hash() -> None:
    rows, singers = drawn(40, num_long=10)
    chosen = [trial.prompt.prompt_id for trial in trial_prompts(rows, singers, 8)]
    short = [row.prompt_id for row in rows[10:]]
    assert chosen == sorted(short, key=lambda name: digest_bytes(name.encode()))[:8]
    assert chosen == [trial.prompt.prompt_id for trial in trial_prompts(rows[::-1], singers, 8)]


def test_where_everybody_has_one_singer_there_is_no_trial() -> None:
    rows, singers = drawn(6)
    assert trial_prompts(rows, dict.fromkeys(singers, "low")) == []


def test_a_prompt_with_tags_is_described_by_them() -> None:
    rows, _ = drawn(1)
    assert conditions_of(rows[0]).description == ", ".join(rows[0].tags) + "."


@pytest.mark.parametrize("song_set", [RIGHT_AUDIO_SONGS, WRONG_AUDIO_SONGS, PAIR_SONGS])
def test_what_the_base_sings_before_alignment_is_heard_by_no_held_out_judge(song_set: SongSet) -> None:
    assert not song_set.needs_held_out_judges
    assert SongSet(song_set.model, PromptSet.REPORT).needs_held_out_judges


def test_every_set_has_a_place_of_its_own() -> None:
    names = [one.name for one in (*BASE_SETS, SongSet("base", PromptSet.REPORT))]
    assert len(set(names)) == len(names)
