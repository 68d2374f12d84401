"""The rendered corpus before it sounds: which songs it has, in which collection, with which metadata and faults."""

from dataclasses import dataclass, field, replace
from enum import StrEnum

from levo.song.digest import digest_json
from pipelines.rendered.draw import draw_plans
from pipelines.rendered.noise import NO_NOISE, NoiseShares, SongNoise, draw_noise
from pipelines.rendered.plan import SongPlan, seeded_generator
from pipelines.rendered.world import WorldConfig


class Collection(StrEnum):
    """Where a song comes from: `studio` songs are clean, `wild` ones carry the controlled noise."""

    STUDIO = "studio"
    WILD = "wild"


@dataclass(frozen=True, slots=True)
class RenderedCorpusConfig:
    """What a rendered corpus holds; equal configs give equal bytes."""

    num_studio: int = 1024
    num_wild: int = 512
    num_long: int = 64
    """Long songs, besides the others; every second one is wild."""
    seed: int = 0
    left_out_share: float = 0.2
    """Share of the songs whose lyrics and tags are left out of the metadata."""
    noise: NoiseShares = field(default_factory=NoiseShares)
    world: WorldConfig = field(default_factory=WorldConfig)

    def __post_init__(self) -> None:
        for name in ("num_studio", "num_wild", "num_long"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}; expected 0 or more")
        if not 0 <= self.left_out_share <= 1:
            raise ValueError(f"left_out_share is {self.left_out_share}; expected a share between 0 and 1")

    @property
    def digest(self) -> str:
        """SHA-256 of all options."""
        return digest_json(self)


@dataclass(frozen=True, slots=True)
class CorpusSong:
    """One song of the corpus: what it is, what its metadata say, and what is wrong with it."""

    plan: SongPlan
    collection: Collection
    is_long: bool
    is_left_out: bool
    noise: SongNoise

    @property
    def song_id(self) -> str:
        """The song's name in files and tables."""
        return self.plan.song_id


def draw_corpus(config: RenderedCorpusConfig) -> tuple[CorpusSong, ...]:
    """All songs in order: studio, wild, long."""
    world, seed = config.world, config.seed
    studio = draw_plans("studio", config.num_studio, seed, world)
    wild = draw_plans("wild", config.num_wild, seed, world)
    long = draw_plans("long", config.num_long, seed, world, long_share=1.0)
    return (
        *(_corpus_song(plan, Collection.STUDIO, config, is_long=False) for plan in studio),
        *(_corpus_song(plan, Collection.WILD, config, is_long=False) for plan in wild),
        *(
            _corpus_song(plan, Collection.WILD if index % 2 else Collection.STUDIO, config, is_long=True)
            for index, plan in enumerate(long)
        ),
    )


def _corpus_song(plan: SongPlan, collection: Collection, config: RenderedCorpusConfig, *, is_long: bool) -> CorpusSong:
    left_out = bool(seeded_generator("left out", plan.song_id, plan.seed).random() < config.left_out_share)
    noise = draw_noise(plan, config.noise if collection is Collection.WILD else NO_NOISE, config.world)
    if left_out:
        noise = replace(noise, wrong_lyrics=None, wrong_description=None)
    return CorpusSong(plan, collection, is_long, left_out, noise)
