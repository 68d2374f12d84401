"""How far the held-out judges agree with the rendered truth: on songs of which words, tags and glitches are known."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from annotation.recogniser.lexicon import Lexicon
from annotation.recogniser.pocketsphinx import PocketSphinxRecogniser
from levo.codec.protocol import Codec
from levo.codec.stems import Stems, stems_of
from pipelines.rendered.draw import draw_plans
from pipelines.rendered.glitch import Glitch, draw_glitches
from pipelines.rendered.plan import SongPlan, seeded_generator
from pipelines.rendered.song import render_song
from pipelines.rendered.voice import Voice
from reward.judges.defects import DefectsJudge
from reward.judges.tag_agreement import TagAgreementJudge
from reward.phoneme_error import phoneme_error_rate


@dataclass(frozen=True, slots=True)
class JudgeTruth:
    """What each held-out judge says of songs with a known truth, and of the same songs with another's.

    Tags: share of the checkable ones that are heard as they are. Defects: means of clean and glitched songs, and how
    often a glitched song has more than a clean one (the area under the curve). PocketSphinx: phoneme error rate.
    """

    num_songs: int
    tags_right: float
    tags_right_of_another: float
    defects_clean: float
    defects_glitched: float
    defects_order: float
    pocketsphinx_errors: float
    pocketsphinx_errors_of_another: float


def judge_truth(
    tags: TagAgreementJudge, defects: DefectsJudge, codec: Codec, voice: Voice, *, num_songs: int, seed: int
) -> JudgeTruth:
    """Render songs, once clean and once with glitches, decode them from tokens, and ask the judges."""
    plans = draw_plans("judge-truth", num_songs, seed, voice.config)
    lexicon = Lexicon(voice.lexicon)
    clean = [_decoded(plan, (), codec, voice) for plan in plans]
    glitched = [_decoded(plan, _glitches(plan), codec, voice) for plan in plans]
    heard_tags = [tags.heard_tags(song) for song in clean]
    heard = PocketSphinxRecogniser(lexicon).transcribe([song.vocal for song in clean])
    phonemes = [transcript.phoneme_names for transcript in heard]
    asked = [list(lexicon.phonemes_of(plan.lyrics.words)) for plan in plans]
    clean_defects, glitched_defects = _numbers(defects, clean), _numbers(defects, glitched)
    others = [*plans[1:], plans[0]]
    return JudgeTruth(
        num_songs=num_songs,
        tags_right=_share_right(heard_tags, plans),
        tags_right_of_another=_share_right(heard_tags, others),
        defects_clean=fmean(clean_defects),
        defects_glitched=fmean(glitched_defects),
        defects_order=order_share(glitched_defects, clean_defects),
        pocketsphinx_errors=_errors(asked, phonemes),
        pocketsphinx_errors_of_another=_errors([*asked[1:], asked[0]], phonemes),
    )


def order_share(larger: Sequence[float], smaller: Sequence[float]) -> float:
    """How often a number of the first list exceeds one of the second, over all pairs; equal ones count half."""
    return fmean((one > other) + 0.5 * (one == other) for one in larger for other in smaller)


def _decoded(plan: SongPlan, glitches: tuple[Glitch, ...], codec: Codec, voice: Voice) -> Stems:
    return codec.decode(codec.encode(stems_of(render_song(plan, voice, glitches))))


def _glitches(plan: SongPlan) -> tuple[Glitch, ...]:
    return draw_glitches(seeded_generator("judge truth", plan.song_id, plan.seed), plan.num_beats)


def _numbers(judge: DefectsJudge, songs: Sequence[Stems]) -> list[float]:
    return [found.score.value for found in judge.judge(songs) if found.score.value is not None]


def _share_right(heard: Sequence[Mapping[str, str]], plans: Sequence[SongPlan]) -> float:
    return fmean(tag in plan.description.tags for tags, plan in zip(heard, plans, strict=True) for tag in tags.values())


def _errors(asked: Sequence[Sequence[str]], heard: Sequence[Sequence[str]]) -> float:
    return fmean(phoneme_error_rate(one, other) for one, other in zip(asked, heard, strict=True))
