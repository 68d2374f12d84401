"""Plans: the beat grid is exact, sections come in musical order, notes fit their chords, and a seed is a song."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from levo.song.lyrics import parse_lyrics
from levo.song.structure import StructureTag
from levo.song.tokens import FRAME_RATE_HZ
from pipelines.rendered.draw import draw_plans, plan_companion
from pipelines.rendered.harmony import scale_pitch_classes
from pipelines.rendered.plan import SongPlan, plan_song
from pipelines.rendered.world import WorldConfig

_CONFIG = WorldConfig()
_seeds = st.integers(0, 2**32)


@given(seed=_seeds, long=st.booleans())
def test_a_song_is_a_whole_number_of_beats_within_its_limit(seed: int, long: bool) -> None:
    plan = plan_song("song", seed, _CONFIG, long=long)
    limit = _CONFIG.max_long_frames if long else _CONFIG.max_frames
    assert plan.num_frames <= limit
    assert plan.num_frames == plan.num_beats * plan.style.tempo.frames_per_beat
    assert plan.duration_s == plan.num_frames / FRAME_RATE_HZ
    assert [note.beat for note in plan.sung_notes] == sorted({note.beat for note in plan.sung_notes})
    if long:
        assert plan.num_frames >= 0.75 * limit


@given(seed=_seeds)
def test_a_long_song_has_four_sections_or_more_and_an_instrumental_one_among_them(seed: int) -> None:
    tags = [section.tag for section in plan_song("song", seed, _CONFIG, long=True).sections]
    assert len(tags) >= 6
    assert tags.count(StructureTag.VERSE) == tags.count(StructureTag.CHORUS) == 2
    assert StructureTag.INST_SHORT in tags
    assert (StructureTag.INTRO_SHORT in tags) <= (tags[0] is StructureTag.INTRO_SHORT)
    assert (StructureTag.OUTRO_SHORT in tags) <= (tags[-1] is StructureTag.OUTRO_SHORT)


@given(seed=_seeds)
def test_a_short_song_is_a_verse_before_a_chorus_and_at_most_two_beats_more(seed: int) -> None:
    sections = plan_song("song", seed, _CONFIG).sections
    assert [section.tag for section in sections if section.tag.is_sung] == [StructureTag.VERSE, StructureTag.CHORUS]
    assert sum(section.num_beats for section in sections if not section.tag.is_sung) in (0, 2)


@given(seed=_seeds, long=st.booleans())
def test_lyrics_follow_the_released_format_and_have_one_word_a_sung_beat(seed: int, long: bool) -> None:
    plan = plan_song("song", seed, _CONFIG, long=long)
    assert parse_lyrics(plan.lyrics.text) == plan.lyrics
    assert plan.lyrics.words == tuple(note.word for note in plan.sung_notes)
    assert set(plan.lyrics.words) <= set(_CONFIG.words)


@given(seed=_seeds)
def test_every_note_is_in_the_key_in_the_singers_range_and_strong_beats_are_in_the_chord(seed: int) -> None:
    plan = plan_song("song", seed, _CONFIG)
    scale = scale_pitch_classes(plan.style.tonic, plan.style.mood)
    for section in plan.sections:
        for bar in section.bars:
            assert set(bar.chord.pitch_classes) <= set(scale)
            assert {pitch % 12 for pitch in bar.melody} <= set(scale)
            assert {pitch % 12 for pitch in bar.melody[::2]} <= set(bar.chord.pitch_classes)
            assert set(bar.melody) <= set(plan.style.singer.pitches)


def test_choruses_are_sung_higher_than_verses() -> None:
    def mean_pitch(plan: SongPlan, tag: StructureTag) -> float:
        return float(np.mean([p for s in plan.sections if s.tag is tag for bar in s.bars for p in bar.melody]))

    plans = draw_plans("song", 100, 0, _CONFIG)
    rises = [mean_pitch(plan, StructureTag.CHORUS) - mean_pitch(plan, StructureTag.VERSE) for plan in plans]
    assert np.mean(rises) > 3
    assert np.mean(np.array(rises) > 0) > 0.9


def test_a_returning_chorus_is_the_same_and_a_returning_verse_has_new_words_to_its_tune() -> None:
    plan = plan_song("song", 0, _CONFIG, long=True)
    chorus, again = (section for section in plan.sections if section.tag is StructureTag.CHORUS)
    verse, second = (section for section in plan.sections if section.tag is StructureTag.VERSE)
    assert chorus == again
    for one, other in zip(verse.bars, second.bars, strict=False):
        assert one.melody == other.melody
        assert one.words != other.words


def test_words_are_drawn_evenly() -> None:
    words = [word for plan in draw_plans("song", 600, 0, _CONFIG) for word in plan.lyrics.words]
    counts = np.array([words.count(word) for word in _CONFIG.words])
    assert counts.min() > 0.75 * counts.mean()
    assert counts.max() < 1.25 * counts.mean()


def test_no_word_comes_again_before_all_others_have() -> None:
    for plan in draw_plans("song", 40, 0, _CONFIG, 0.2):
        sections = [section for section in plan.sections if section.tag.is_sung]
        new = [section for place, section in enumerate(sections) if section not in sections[:place]]
        words = [word for section in new for bar in section.bars for word in bar.words]
        for start in range(0, len(words), len(_CONFIG.words)):
            round_of_words = words[start : start + len(_CONFIG.words)]
            assert len(set(round_of_words)) == len(round_of_words)


def test_the_same_id_seed_and_config_give_the_same_plan_and_each_of_them_matters() -> None:
    plan = plan_song("song", 1, _CONFIG)
    assert plan == plan_song("song", 1, _CONFIG)
    assert plan.lyrics != plan_song("song", 2, _CONFIG).lyrics
    assert plan.lyrics != plan_song("other", 1, _CONFIG).lyrics


def test_a_song_does_not_depend_on_how_many_are_drawn() -> None:
    assert draw_plans("song", 30, 0, _CONFIG, 0.2)[:10] == draw_plans("song", 10, 0, _CONFIG, 0.2)


def test_the_long_share_is_exact() -> None:
    plans = draw_plans("song", 50, 0, _CONFIG, long_share=0.3)
    assert sum(plan.num_frames > _CONFIG.max_frames for plan in plans) == 15


def test_prompts_and_songs_to_fit_on_share_no_lyrics_with_the_corpus() -> None:
    namespaces = ("studio", "wild", "train-fit", "prompt")
    drawn = [{plan.lyrics.text for plan in draw_plans(name, 200, 0, _CONFIG)} for name in namespaces]
    assert len(set.union(*drawn)) == sum(len(texts) for texts in drawn)


def test_a_companion_has_the_same_style_and_other_words() -> None:
    for plan in draw_plans("song", 20, 0, _CONFIG):
        companion = plan_companion(plan, _CONFIG)
        assert companion.style == plan.style
        assert companion.song_id != plan.song_id
        assert companion.lyrics != plan.lyrics
