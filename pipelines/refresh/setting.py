"""What every step of a night works with: the line's configuration and places, hands to work with, and who watches."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any

from levo.model.sampling.request import SamplingParameters
from levo.song.digest import canonical_json, digest_bytes, digest_json
from levo.song.prompt import PromptSet
from levo.training.loop import LoggedStep
from levo.training.precision import Precision
from pipelines.loop.context import LoopContext
from pipelines.loop.prompts import PromptSource, stored_prompts
from pipelines.loop.records import PromptRow
from pipelines.loop.sampling import short_digest
from pipelines.loop.scoring import scoring_pipeline
from pipelines.observability.metrics import Metrics
from pipelines.refresh.config import OPERATIONAL, TUNABLE, RefreshConfig
from pipelines.refresh.hands import Hands, ScoringPipeline
from pipelines.refresh.store import RefreshStore

_SEED_BITS = 48


def _no_step(_step: str) -> None:
    """Nobody watches."""


def _no_progress(_done: int, _total: int) -> None:
    """Nobody watches."""


def _no_log(_phase: str, _logged: LoggedStep) -> None:
    """Nobody watches."""


@dataclass(frozen=True, slots=True)
class Watch:
    """Who is told what a night does."""

    on_step: Callable[[str], None] = _no_step
    progress: Callable[[int, int], None] = _no_progress
    on_log: Callable[[str, LoggedStep], None] = _no_log
    metrics: Metrics = field(default_factory=Metrics)


@dataclass(frozen=True, slots=True)
class NightSetting:
    """A line of champions: `context` is the run whose models and recipe it goes on from."""

    context: LoopContext
    config: RefreshConfig
    store: RefreshStore
    hands: Hands
    judges: str
    """The digest of what hears and judges the run's songs."""
    watch: Watch = field(default_factory=Watch)
    own_prompts: Path | None = None
    """A file of prompts that a new line begins with, in place of the rendered world's."""
    first_model: Path | None = None
    """The folder of the model that a new line begins with, in place of the run's best."""

    @property
    def made_of(self) -> str:
        """Canonical JSON of what makes the line this one: its configuration, the run's, and the run's judges.

        What may change from night to night (`TUNABLE`, `OPERATIONAL`) is no part of it.
        """
        own = self._config_without(TUNABLE | OPERATIONAL)
        return canonical_json({"refresh": own, "loop": _plain(self.context.config), "judges": self.judges})

    @property
    def identity(self) -> str:
        """The digest of what the line is made of."""
        return digest_bytes(self.made_of.encode())

    @property
    def night(self) -> str:
        """The digest of all that a night's steps come from: one begun with other values begins anew."""
        return digest_json([self.identity, self._config_without(OPERATIONAL)])

    def _config_without(self, names: frozenset[str]) -> dict[str, Any]:
        return {name: value for name, value in _plain(self.config).items() if name not in names}

    @property
    def parameters(self) -> SamplingParameters:
        """How songs are drawn."""
        return self.context.config.sampling.parameters

    @property
    def precision(self) -> Precision:
        """The number type of trainings and of what they are held against."""
        return self.context.config.training.precision

    def seed_of(self, *what: object) -> int:
        """A seed for something of the line, from 0 to 2^48."""
        return int(digest_json([self.config.seed, *map(str, what)])[: _SEED_BITS // 4], 16)

    def prompt_source(self) -> PromptSource:
        """The line's prompts; raises FileNotFoundError where they were not drawn yet."""
        return stored_prompts(self.store.prompts)

    def prompts(self, prompt_set: PromptSet) -> list[PromptRow]:
        """The prompts of a set, in order."""
        return [row for row in self.prompt_source().rows() if row.prompt_set is prompt_set]

    def prompts_by_id(self) -> dict[str, PromptRow]:
        """The prompts of all sets by their names."""
        return {row.prompt_id: row for row in self.prompt_source().rows()}

    def pipeline(self, *, held_out: bool, singers: tuple[str, ...] = (), songs_heard: int = 1) -> ScoringPipeline:
        """The stages that score songs; held-out judges hear `songs_heard` songs a prompt of the models `singers`."""
        self.store.sounds.mkdir(parents=True, exist_ok=True)
        judges = None
        if held_out:
            judges = self.context.held_out_judges(frozenset(map(short_digest, singers)), songs_heard)
        return scoring_pipeline(
            self.context.audio_places(self.store.sounds),
            self.prompt_source(),
            self.context.scoring_models(),
            self.context.lexicon(),
            judges,
        )


def _plain(value: Any) -> Any:
    """A record as its fields by name, any other mapping as its sorted pairs: only fields may be a later version's."""
    if is_dataclass(value) and not isinstance(value, type):
        return {one.name: _plain(getattr(value, one.name)) for one in fields(value)}
    if isinstance(value, Mapping):
        return [[str(key), _plain(entry)] for key, entry in sorted(value.items(), key=lambda pair: str(pair[0]))]
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    return value


def open_setting(
    context: LoopContext,
    config: RefreshConfig,
    store: RefreshStore,
    hands: Hands,
    own_prompts: Path | None = None,
    first_model: Path | None = None,
) -> NightSetting:
    """The setting of a run's line, its judges loaded once to know them."""
    judges = context.judges_digest()
    return NightSetting(context, config, store, hands, judges, own_prompts=own_prompts, first_model=first_model)
