"""The beginning of a line of champions: its prompts are drawn, and a model of the run becomes the first champion."""

import json
from collections.abc import Callable
from pathlib import Path

from levo.model.qwen2_tokenizer import VOCABULARY_FILE
from levo.model.store import CONFIG_FILE, TOKENIZER_FOLDER, load_config, model_digest
from levo.model.tokenizer import ConditionEncoder
from levo.song.tokens import FRAME_RATE_HZ
from pipelines.flow.snapshot import SnapshotStore
from pipelines.loop.model_names import BASE, INTERPOLATED
from pipelines.loop.prompts import (
    PromptRequest,
    draw_prompt_sets,
    publish_prompt_rows,
    publish_prompts,
    stored_prompts,
)
from pipelines.loop.records import PromptRow
from pipelines.loop.scoring import LONGEST_SECOND_OPINION_S
from pipelines.refresh.commits import BEGIN, Commit, CommitLog, ModelEntry
from pipelines.refresh.line_facts import ForeignLineError, LineFacts, new_name, read_facts, write_facts
from pipelines.refresh.own_prompts import PromptLimits, check_texts, read_own_prompts, refuse_known
from pipelines.refresh.setting import NightSetting
from pipelines.refresh.store import RefreshStore

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
    _refuse_a_strange_model(setting)
    model = first_champion(setting)
    entry = ModelEntry(model_digest(model), str(model.resolve()))
    _refuse_orphans(setting, commits)
    _draw(setting, entry)
    check()
    config, pointers = setting.config, setting.store.pointers
    facts = LineFacts(new_name(config.recipe), config.recipe, config.seed, pointers, setting.made_of)
    write_facts(setting.store.folder, facts)
    return commits.commit(Commit(BEGIN, None, entry, None, None, note=setting.identity))


def _refuse_another(setting: NightSetting, begun: Commit) -> None:
    first = setting.first_model
    if first is not None and model_digest(first) != begun.champion.digest:
        raise ForeignLineError(
            f"--champion is {first}; the line in {setting.store.folder} was begun with {begun.champion.digest[:12]}: "
            "a champion is named for a new line alone, choose another --store"
        )
    if begun.note == setting.identity:
        return
    facts = read_facts(setting.store.folder)
    different = [] if facts is None else facts.differences(setting.made_of)
    if facts is None or different:
        told = "; ".join(different) or f"line {begun.note[:12]}, this one {setting.identity[:12]}"
        raise ForeignLineError(
            f"{setting.store.folder} was begun with another recipe, seed or run ({told}); choose another --store"
        )


def _refuse_a_strange_model(setting: NightSetting) -> None:
    """A first model that is named must be of this run: its tokens and words mean something to its judges alone."""
    model = setting.first_model
    if model is None:
        return
    base = setting.context.places.lelm(BASE)
    champion = first_champion(setting)
    if load_config(champion) != load_config(base):
        raise ForeignLineError(f"--champion {model} has another config than {base}, the run's own model")
    words = [folder / TOKENIZER_FOLDER / VOCABULARY_FILE for folder in (champion, base)]
    if words[0].read_bytes() != words[1].read_bytes():
        raise ForeignLineError(f"--champion {model} reads other words than {base}, the run's own model")
    facts = read_facts(_store_around(model))
    if facts is not None and json.loads(facts.made_of)["judges"] != setting.judges:
        raise ForeignLineError(
            f"--champion {model} is of a line with other judges than {setting.context.places.folder}"
        )


def _store_around(model: Path) -> Path:
    """The store that a model lies in, where it is a line's (`STORE/models/DIGEST`)."""
    return model.resolve().parent.parent


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
    # A longer song's words are heard by no judge that may promote a champion.
    longest = min(longest, int(LONGEST_SECOND_OPINION_S * FRAME_RATE_HZ))
    limits = PromptLimits(shape.code_size, longest, shape.max_prompt_frames)
    rows = read_own_prompts(file, setting.config.prompts.by_set, limits)
    check_texts(rows, ConditionEncoder(champion / TOKENIZER_FOLDER, shape))
    around = RefreshStore(_store_around(champion))
    if setting.first_model is not None and read_facts(around.folder) is not None:
        refuse_known(rows, stored_prompts(around.prompts).rows())
    return rows


def _draw(setting: NightSetting, first: ModelEntry) -> None:
    if SnapshotStore(setting.store.prompts).current() is None:
        context = setting.context
        if setting.own_prompts is not None:
            publish_prompt_rows(_own(setting, setting.own_prompts), setting.store.prompts)
            return
        frames = context.config.prompts.audio_prompt_frames
        # A model that other prompts have trained and chosen is not looked at on them again.
        namespace = _NAMESPACE if setting.first_model is None else f"{_NAMESPACE}-{first.digest[:12]}"
        request = PromptRequest(namespace, setting.config.prompts.by_set, {}, frames)
        prompts = draw_prompt_sets(
            request, setting.config.seed, context.voice(), context.codec(), setting.watch.progress
        )
        publish_prompts(prompts, setting.store.prompts)
