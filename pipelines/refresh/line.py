"""The beginning of a line of champions: its prompts are drawn, and a model of the run becomes the first champion."""

from collections.abc import Callable
from pathlib import Path

from levo.model.store import CONFIG_FILE, TOKENIZER_FOLDER, load_config, model_digest
from levo.model.tokenizer import ConditionEncoder
from pipelines.flow.snapshot import SnapshotStore
from pipelines.loop.model_names import BASE, INTERPOLATED
from pipelines.loop.prompts import PromptRequest, draw_prompt_sets, publish_prompt_rows, publish_prompts
from pipelines.loop.records import PromptRow
from pipelines.refresh.commits import BEGIN, Commit, CommitLog, ModelEntry
from pipelines.refresh.line_facts import ForeignLineError, LineFacts, read_facts, write_facts
from pipelines.refresh.own_prompts import PromptLimits, check_texts, read_own_prompts
from pipelines.refresh.setting import NightSetting

_NAMESPACE = "refresh"


def begin_line(setting: NightSetting, commits: CommitLog, check: Callable[[], None]) -> Commit:
    """The newest commit of a line whose head was fenced; a new line begins with the run's own best model.

    Raises ForeignLineError where the store was begun with another configuration, or has commits that its head knows
    nothing of, FileNotFoundError where the run has no model yet.
    """
    head = commits.head()
    if head is not None:
        _refuse_another(setting, list(commits.history())[-1])
        return head
    model = first_champion(setting)
    entry = ModelEntry(model_digest(model), str(model.resolve()))
    _refuse_orphans(setting, commits)
    _draw(setting)
    check()
    config, pointers = setting.config, setting.store.pointers
    write_facts(setting.store.folder, LineFacts(config.recipe, config.seed, pointers, setting.made_of))
    return commits.commit(Commit(BEGIN, None, entry, None, None, note=setting.identity))


def _refuse_another(setting: NightSetting, begun: Commit) -> None:
    if begun.note == setting.identity:
        return
    facts = read_facts(setting.store.folder)
    different = [] if facts is None else facts.differences(setting.made_of)
    if facts is None or different:
        told = "; ".join(different) or f"line {begun.note[:12]}, this one {setting.identity[:12]}"
        raise ForeignLineError(
            f"{setting.store.folder} was begun with another recipe, seed or run ({told}); choose another --store"
        )


def _refuse_orphans(setting: NightSetting, commits: CommitLog) -> None:
    """A line whose pointers are lost, or elsewhere, must not be begun anew over its own nights."""
    num_nights = sum(commit.kind != BEGIN for commit in commits.on_file())
    if num_nights:
        raise ForeignLineError(
            f"{setting.store.folder} holds commits of {num_nights} nights, and the head at "
            f"{setting.store.pointers or setting.store.folder} names none: was the line begun with other --pointers?"
        )


def check_champion(setting: NightSetting, head: Commit) -> None:
    """Raise ForeignLineError where the champion's folder does not hold the champion's weights (a run may be redone)."""
    folder = setting.store.model(head.champion)
    found = model_digest(folder) if (folder / CONFIG_FILE).is_file() else "no model"
    if found != head.champion.digest:
        raise ForeignLineError(
            f"{folder} holds {found[:12]}; the line's champion is {head.champion.digest[:12]}: put its files back, or "
            "`levo rollback`"
        )


def first_champion(setting: NightSetting) -> Path:
    """The model that a new line is told to begin with, else the run's interpolated one, or its base."""
    if setting.first_model is not None:
        if not (setting.first_model / CONFIG_FILE).is_file():
            raise FileNotFoundError(f"--champion is {setting.first_model}; expected the folder of a song model")
        return setting.first_model
    places = setting.context.places
    for name in (INTERPOLATED, BASE):
        if (places.lelm(name) / CONFIG_FILE).is_file():
            return places.lelm(name)
    raise FileNotFoundError(f"{places.folder} holds no trained model; `levo train --run {places.folder}` makes one")


def _own(setting: NightSetting, file: Path) -> list[PromptRow]:
    champion = first_champion(setting)
    shape = load_config(champion)
    longest = max(length.max_frames for length in setting.context.config.sampling.length_classes)
    limits = PromptLimits(shape.code_size, longest, shape.max_prompt_frames)
    rows = read_own_prompts(file, setting.config.prompts.by_set, limits)
    check_texts(rows, ConditionEncoder(champion / TOKENIZER_FOLDER, shape))
    return rows


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
