"""The singer in this process: one continuous batch of a fixed number of rows, planned for the memory there is."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from levo.model.sampling.engine import SamplingEngine
from levo.model.sampling.length_class import LengthClass
from levo.model.sampling.memory_plan import NoRoomError, available_bytes, lane_that_fits
from levo.model.sampling.recorded import cuda_capture
from levo.model.sampling.request import RELEASED_PARAMETERS, SampledSong, SamplingParameters, SamplingRequest
from levo.model.store import LoadedModel
from levo.release.importing import release_rules
from pipelines.generation.singer import Asked, ModelFacts

_PREFILL_ROWS, _MOST_ROWS = 8, 32


@dataclass(frozen=True, slots=True)
class SingingConfig:
    """How songs are drawn; what is None is as the model was released, or this project's own default."""

    rows: int = 8
    """Rows of the batch, whose number decides how products round; 0 takes as many as the memory holds, up to 32."""
    max_duration_s: float | None = None
    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    guidance: float | None = None
    records_steps: bool = False
    """Whether steps are replayed as CUDA graphs."""

    @property
    def chosen(self) -> dict[str, float]:
        """The parameters that were chosen."""
        values = {name: getattr(self, name) for name in ("temperature", "top_k", "top_p", "guidance")}
        return {name: value for name, value in values.items() if value is not None}


class InProcessSinger:
    """Sings on a loaded model."""

    def __init__(self, model: Path, loaded: LoadedModel, config: SingingConfig) -> None:
        """Raise `GenerationError` for a song length that the model does not take."""
        shape, rules = loaded.model.config, release_rules(model)
        self._loaded, self._config = loaded, config
        self.facts = ModelFacts(loaded.digest, shape.code_size, shape.max_frames, shape.max_prompt_frames, rules)
        plain = SamplingParameters() if rules is None else RELEASED_PARAMETERS
        self._parameters = replace(plain, **config.chosen)  # type: ignore[arg-type]
        self._max_frames = self.facts.frames_of(config.max_duration_s)

    @property
    def settings(self) -> Mapping[str, Any]:
        """Parameters, length and number type."""
        return asdict(self._parameters) | {"max_frames": self._max_frames, "dtype": str(self._loaded.model.dtype)}

    def sing(self, asked: Iterable[Asked]) -> Iterator[tuple[str, SampledSong | str]]:
        """Songs as they are finished; raises `NoRoomError` where the memory does not hold the batch."""
        capture = cuda_capture() if self._config.records_steps else None
        engine = SamplingEngine(self._loaded, [self._length_class()], capture)
        for one in asked:
            try:
                engine.submit(SamplingRequest(one.idx, one.conditions, one.seed, self._max_frames, self._parameters))
            except ValueError as error:
                yield one.idx, str(error)
        while engine.num_waiting or engine.num_running:
            for song in engine.step():
                yield song.request_id, song

    def _length_class(self) -> LengthClass:
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
