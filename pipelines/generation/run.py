"""Songs for a file of orders, kept as they finish; an order that fails loses only itself."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from levo.codec.protocol import Codec
from levo.model.conditions import Conditions
from levo.model.sampling.noise import MAX_SEED
from levo.model.sampling.request import SampledSong
from levo.release.texts import released_description
from levo.song.digest import digest_json
from pipelines.generation.order_file import SongOrder
from pipelines.generation.prompts import PromptSource
from pipelines.generation.results import STEM_ENDINGS, Job, ResultsFolder, SongParts
from pipelines.generation.singer import Asked, GenerationError, Singer

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class GenerationConfig:
    """What is made of the orders: the parts that are heard, and the seed of those that name none."""

    parts: SongParts = SongParts.MIXED
    seed: int = 0


@dataclass(frozen=True, slots=True)
class GenerationOutcome:
    """How many orders were done before, have a song now, and failed."""

    num_skipped: int
    num_drawn: int
    num_failed: int


def generate(
    orders: Sequence[SongOrder],
    singer: Singer,
    config: GenerationConfig,
    prompts: PromptSource,
    codec: Codec | None,
    results: ResultsFolder,
    progress: Progress,
) -> GenerationOutcome:
    """Draw what is not done; an order that fails is noted and loses only itself.

    Without a codec for the model's codes songs are kept as tokens alone. Raises `GenerationError` for settings that fit
    no song of this model.
    """
    if codec is not None and codec.code_size != singer.facts.code_size:
        raise GenerationError(
            f"the codec has {codec.code_size} codes and the model {singer.facts.code_size}; "
            "without a codec songs are kept as tokens"
        )
    if config.parts is SongParts.SEPARATE:
        _check_names(orders)
    run = _Run(singer, config, prompts, codec, results)
    jobs = [run.job_of(order) for order in orders]
    waiting = [job for job in jobs if not results.is_done(job)]
    num_skipped = len(jobs) - len(waiting)
    progress(num_skipped, len(jobs))
    try:
        num_drawn = run.draw(waiting, lambda done: progress(num_skipped + done, len(jobs)))
    finally:
        results.write_results(list(orders))
    return GenerationOutcome(num_skipped, num_drawn, len(waiting) - num_drawn)


class _Run:
    def __init__(
        self,
        singer: Singer,
        config: GenerationConfig,
        prompts: PromptSource,
        codec: Codec | None,
        results: ResultsFolder,
    ) -> None:
        self._singer = singer
        self._config = config
        self._prompts = prompts
        self._codec = codec
        self._results = results

    def job_of(self, order: SongOrder) -> Job:
        """The order with its seed: its own, or one that depends on its name and the run's seed alone."""
        seed = order.seed
        if seed is None:
            seed = int(digest_json([order.idx, self._config.seed]), 16) % (MAX_SEED + 1)
        settings = {
            **self._singer.settings,
            "parts": self._config.parts.value,
            "codec": None if self._codec is None else self._codec.digest,
        }
        return Job(order, seed, self._singer.facts.digest, settings)

    def draw(self, jobs: Sequence[Job], progress: Callable[[int], None]) -> int:
        """Draw all jobs; the number that have a song in the end."""
        if not jobs:
            return 0
        by_id = {job.order.idx: job for job in jobs}
        waiting = set(by_id)
        num_drawn = 0
        for idx, song in self._singer.sing(self._asked(jobs, waiting)):
            num_drawn += self._keep(by_id[idx], song)
            waiting.discard(idx)
            progress(len(jobs) - len(waiting))
        progress(len(jobs) - len(waiting))
        return num_drawn

    def _asked(self, jobs: Sequence[Job], waiting: set[str]) -> Iterator[Asked]:
        """What is to be sung; an order whose prompt cannot be had is refused and asked no further."""
        for job in jobs:
            try:
                conditions = self._conditions(job)
            except (ValueError, OSError) as error:
                self._results.refuse(job, str(error))
                waiting.discard(job.order.idx)
            else:
                yield Asked(job.order.idx, conditions, job.seed)

    def _keep(self, job: Job, song: SampledSong | str) -> bool:
        if isinstance(song, str):
            self._results.refuse(job, song)
            return False
        try:
            stems = None if self._codec is None else self._codec.decode(song.tokens)
        except ValueError as error:
            self._results.refuse(job, f"the song cannot be decoded: {error}")
            return False
        self._results.keep(job, song, stems, self._config.parts)
        return True

    def _conditions(self, job: Job) -> Conditions:
        order, rules = job.order, self._singer.facts.rules
        description = order.description
        if rules is not None:
            is_pure_music = self._config.parts is SongParts.ACCOMPANIMENT
            description = released_description(description, rules, is_pure_music=is_pure_music)
        return Conditions(order.lyrics, description, self._prompts.prompt_of(order, job.seed))


def _check_names(orders: Sequence[SongOrder]) -> None:
    names = {order.idx for order in orders}
    for order in orders:
        for ending in STEM_ENDINGS:
            if order.idx + ending in names:
                raise GenerationError(f"idx {order.idx + ending!r} is also the name of a stem of {order.idx!r}")
