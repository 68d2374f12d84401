"""Songs for a file of orders, drawn in one continuous batch in this process and kept as they finish."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from levo.codec.protocol import Codec
from levo.model.conditions import Conditions
from levo.model.sampling.engine import SamplingEngine
from levo.model.sampling.lane import LengthClass
from levo.model.sampling.memory_plan import NoRoomError, available_bytes, lane_that_fits
from levo.model.sampling.noise import MAX_SEED
from levo.model.sampling.request import RELEASED_PARAMETERS, SampledSong, SamplingParameters, SamplingRequest
from levo.model.store import LoadedModel
from levo.release.importing import release_rules
from levo.release.layout import TextRules
from levo.release.texts import released_description
from levo.song.digest import digest_json
from levo.song.tokens import FRAME_RATE_HZ
from pipelines.generation.order_file import SongOrder
from pipelines.generation.prompts import PromptSource
from pipelines.generation.results import STEM_ENDINGS, Job, ResultsFolder, SongParts

Progress = Callable[[int, int], None]
_PREFILL_ROWS, _MOST_ROWS = 8, 32


class GenerationError(ValueError):
    """Settings that do not fit the model or the codec."""


@dataclass(frozen=True, slots=True)
class GenerationConfig:
    """How songs are drawn; what is None is as the model was released, or this project's own default."""

    parts: SongParts = SongParts.MIXED
    seed: int = 0
    rows: int = 8
    """Rows of the batch, whose number decides how products round; 0 takes as many as the memory holds, up to 32."""
    max_duration_s: float | None = None
    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    guidance: float | None = None


@dataclass(frozen=True, slots=True)
class GenerationOutcome:
    """How many orders were done before, have a song now, and failed."""

    num_skipped: int
    num_drawn: int
    num_failed: int


def generate(
    orders: Sequence[SongOrder],
    model: Path,
    loaded: LoadedModel,
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
    if codec is not None and codec.code_size != loaded.model.config.code_size:
        raise GenerationError(
            f"the codec has {codec.code_size} codes and the model {loaded.model.config.code_size}; "
            "without a codec songs are kept as tokens"
        )
    if config.parts is SongParts.SEPARATE:
        _check_names(orders)
    run = _Run(model, loaded, config, prompts, codec, results)
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
        model: Path,
        loaded: LoadedModel,
        config: GenerationConfig,
        prompts: PromptSource,
        codec: Codec | None,
        results: ResultsFolder,
    ) -> None:
        self._loaded = loaded
        self._config = config
        self._prompts = prompts
        self._codec = codec
        self._results = results
        self._rules: TextRules | None = release_rules(model)
        self._parameters = _parameters(config, is_released=self._rules is not None)
        self._max_frames = _max_frames(config, loaded)

    def job_of(self, order: SongOrder) -> Job:
        """The order with its seed: its own, or one that depends on its name and the run's seed alone."""
        seed = order.seed
        if seed is None:
            seed = int(digest_json([order.idx, self._config.seed]), 16) % (MAX_SEED + 1)
        settings = {
            **asdict(self._parameters),
            "max_frames": self._max_frames,
            "dtype": str(self._loaded.model.dtype),
            "parts": self._config.parts.value,
            "codec": None if self._codec is None else self._codec.digest,
        }
        return Job(order, seed, self._loaded.digest, settings)

    def draw(self, jobs: Sequence[Job], progress: Callable[[int], None]) -> int:
        """Draw all jobs; the number that have a song in the end."""
        if not jobs:
            return 0
        engine = SamplingEngine(self._loaded, [self._length_class()])
        by_id = {job.order.idx: job for job in jobs}
        num_done = num_drawn = 0
        for job in jobs:
            try:
                engine.submit(self._request(job))
            except (ValueError, OSError) as error:
                self._results.refuse(job, str(error))
                num_done += 1
                progress(num_done)
        while engine.num_waiting or engine.num_running:
            for song in engine.step():
                num_drawn += self._keep(by_id[song.request_id], song)
                num_done += 1
                progress(num_done)
        return num_drawn

    def _length_class(self) -> LengthClass:
        """The lane's shapes; raises `NoRoomError` where the memory does not hold them."""
        model = self._loaded.model
        per_song = 1 if self._parameters.guidance == 1.0 else 2
        largest = LengthClass(
            num_rows=self._config.rows or _MOST_ROWS,
            max_frames=self._max_frames,
            max_prefix=model.config.prefix_length,
            prefill_rows=_PREFILL_ROWS,
            rows_per_prefix=1,
        )
        fitting = lane_that_fits(
            model.config,
            largest,
            least_rows=per_song,
            available_bytes=available_bytes(model.device),
            dtype=model.dtype,
            device=model.device,
        )
        if not self._config.rows:
            return fitting
        if largest.num_rows - fitting.num_rows >= per_song:
            raise NoRoomError(
                f"{largest.num_rows} rows of {self._max_frames} frames do not fit into the memory; "
                f"{fitting.num_rows} do"
            )
        return replace(largest, prefill_rows=min(_PREFILL_ROWS, largest.num_rows))

    def _keep(self, job: Job, song: SampledSong) -> bool:
        try:
            stems = None if self._codec is None else self._codec.decode(song.tokens)
        except ValueError as error:
            self._results.refuse(job, f"the song cannot be decoded: {error}")
            return False
        self._results.keep(job, song, stems, self._config.parts)
        return True

    def _request(self, job: Job) -> SamplingRequest:
        order = job.order
        description = order.description
        if self._rules is not None:
            is_pure_music = self._config.parts is SongParts.ACCOMPANIMENT
            description = released_description(description, self._rules, is_pure_music=is_pure_music)
        conditions = Conditions(order.lyrics, description, self._prompts.prompt_of(order, job.seed))
        return SamplingRequest(order.idx, conditions, job.seed, self._max_frames, self._parameters)


def _check_names(orders: Sequence[SongOrder]) -> None:
    names = {order.idx for order in orders}
    for order in orders:
        for ending in STEM_ENDINGS:
            if order.idx + ending in names:
                raise GenerationError(f"idx {order.idx + ending!r} is also the name of a stem of {order.idx!r}")


def _parameters(config: GenerationConfig, *, is_released: bool) -> SamplingParameters:
    parameters = RELEASED_PARAMETERS if is_released else SamplingParameters()
    given = {
        name: value
        for name in ("temperature", "top_k", "top_p", "guidance")
        if (value := getattr(config, name)) is not None
    }
    return replace(parameters, **given)


def _max_frames(config: GenerationConfig, loaded: LoadedModel) -> int:
    longest = loaded.model.config.max_frames
    if config.max_duration_s is None:
        return longest
    num_frames = round(config.max_duration_s * FRAME_RATE_HZ)
    if not 1 <= num_frames <= longest:
        raise GenerationError(
            f"max_duration_s is {config.max_duration_s:g}; this model takes {1 / FRAME_RATE_HZ:g} to "
            f"{longest / FRAME_RATE_HZ:g} s"
        )
    return num_frames
