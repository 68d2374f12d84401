"""Controlled noise: what is wrong on purpose with a song of the wild collection, as with real corpora."""

from dataclasses import dataclass

from levo.song.description import Description
from levo.song.lyrics import Lyrics
from pipelines.rendered.glitch import Glitch, draw_glitches
from pipelines.rendered.plan import SongPlan, draw_style, plan_song, seeded_generator
from pipelines.rendered.world import WorldConfig

_LEAST_WRONG_TAGS = 2


@dataclass(frozen=True, slots=True)
class NoiseShares:
    """How much of a collection has each fault; each is drawn independently of the others."""

    wrong_lyrics: float = 0.3
    wrong_tags: float = 0.3
    glitches: float = 0.3

    def __post_init__(self) -> None:
        for name in ("wrong_lyrics", "wrong_tags", "glitches"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"noise share {name} is {getattr(self, name)}; expected a share between 0 and 1")


NO_NOISE = NoiseShares(0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class SongNoise:
    """The faults of one song; None or nothing where it has none."""

    wrong_lyrics: Lyrics | None = None
    wrong_description: Description | None = None
    glitches: tuple[Glitch, ...] = ()


def draw_noise(plan: SongPlan, shares: NoiseShares, config: WorldConfig) -> SongNoise:
    """Draw a song's faults; they depend on its id and seed, and on nothing else of the corpus."""
    lyrics = description = None
    glitches: tuple[Glitch, ...] = ()
    if _strikes("wrong lyrics", plan, shares.wrong_lyrics):
        long = plan.num_frames > config.max_frames
        lyrics = plan_song(f"{plan.song_id}-stranger", plan.seed, config, long=long).lyrics
    if _strikes("wrong tags", plan, shares.wrong_tags):
        description = _wrong_description(plan, config)
    if _strikes("glitches", plan, shares.glitches):
        glitches = draw_glitches(seeded_generator("which glitches", plan.song_id, plan.seed), plan.num_beats)
    return SongNoise(lyrics, description, glitches)


def _strikes(fault: str, plan: SongPlan, share: float) -> bool:
    return bool(seeded_generator(fault, plan.song_id, plan.seed).random() < share)


def _wrong_description(plan: SongPlan, config: WorldConfig) -> Description:
    rng = seeded_generator("which tags", plan.song_id, plan.seed)
    while True:
        wrong = draw_style(rng, config).description
        if sum(a != b for a, b in zip(wrong.tags, plan.description.tags, strict=True)) >= _LEAST_WRONG_TAGS:
            return wrong
