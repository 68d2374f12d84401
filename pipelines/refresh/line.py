"""The beginning of a line of champions: its prompts are drawn, and a model of the run becomes the first champion."""

from collections.abc import Callable
from pathlib import Path

from levo.model.store import CONFIG_FILE, load_config, model_digest
from pipelines.flow.snapshot import SnapshotStore
from pipelines.loop.model_names import BASE, INTERPOLATED
from pipelines.loop.prompts import PromptRequest, draw_prompt_sets, publish_prompt_rows, publish_prompts
from pipelines.loop.records import PromptRow
from pipelines.refresh.commits import BEGIN, Commit, CommitLog, ModelEntry
from pipelines.refresh.own_prompts import PromptLimits, read_own_prompts
from pipelines.refresh.setting import NightSetting

_NAMESPACE = "refresh"


class ForeignLineError(ValueError):
    """A store that holds another line of champions."""


def begin_line(setting: NightSetting, commits: CommitLog, check: Callable[[], None]) -> Commit:
    """The newest commit of a line whose head was fenced; a new line begins with the run's own best model.

    Raises ForeignLineError where the store was begun with another configuration, FileNotFoundError where the run has
    no model yet.
    """
    head = commits.head()
    if head is not None:
        begun = list(commits.history())[-1]
        if begun.note != setting.identity:
            raise ForeignLineError(
                f"{setting.store.folder} was begun with another recipe, seed or run (line {begun.note[:12]}, this one "
                f"{setting.identity[:12]}); choose another --store"
            )
        return head
    _draw(setting)
    check()
    model = first_champion(setting)
    entry = ModelEntry(model_digest(model), str(model.resolve()))
    return commits.commit(Commit(BEGIN, None, entry, None, None, note=setting.identity))


def first_champion(setting: NightSetting) -> Path:
    """The run's interpolated model, or its base where it was not aligned yet."""
    places = setting.context.places
    for name in (INTERPOLATED, BASE):
        if (places.lelm(name) / CONFIG_FILE).is_file():
            return places.lelm(name)
    raise FileNotFoundError(f"{places.folder} holds no trained model; `levo train --run {places.folder}` makes one")


def _own(setting: NightSetting, file: Path) -> list[PromptRow]:
    shape = load_config(first_champion(setting))
    longest = min(length.max_frames for length in setting.context.config.sampling.length_classes)
    limits = PromptLimits(shape.code_size, longest, shape.max_prompt_frames)
    return read_own_prompts(file, setting.config.prompts.by_set, limits)


def _draw(setting: NightSetting) -> None:
    if SnapshotStore(setting.store.prompts).current() is None:
        context = setting.context
        if setting.own_prompts is not None:
            publish_prompt_rows(_own(setting, setting.own_prompts), setting.store.prompts)
            return
        frames = context.config.prompts.audio_prompt_frames
        request = PromptRequest(_NAMESPACE, setting.config.prompts.by_set, {}, frames)
        prompts = draw_prompt_sets(
            request, setting.config.seed, context.voice(), context.codec(), setting.watch.progress
        )
        publish_prompts(prompts, setting.store.prompts)
