"""The steps of a night that make preferences: choose prompts, sing them, pair the songs, age the pool."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from levo.model.store import model_digest
from levo.song.files import write_atomically
from levo.song.prompt import PromptSet
from levo.song.schema import records_of, table_of
from levo.song.scores import Axis
from pipelines.loop.evaluation import mean_scores, metric_means
from pipelines.loop.fitting import read_scorer_noise
from pipelines.loop.metrics import PHONEME_ERROR_RATE
from pipelines.loop.preferences import pair_candidates
from pipelines.loop.records import CandidateRow, PromptRow
from pipelines.refresh.ageing import aged, likelihoods, mean_drift, rejuvenated
from pipelines.refresh.commits import ROLLBACK, Commit
from pipelines.refresh.copies import CopyIndex, CopyRules, fingerprints, share_in
from pipelines.refresh.measuring import on_file
from pipelines.refresh.pool import PooledPair, active, appended, pooled, read_pool, write_training_pairs
from pipelines.refresh.prompt_choice import choose_prompts
from pipelines.refresh.prompt_kinds import kind_of, weakness_of
from pipelines.refresh.setting import NightSetting
from pipelines.refresh.songs import ScoredSongs, SongPlaces, SongRequest, read_songs, sing_and_score
from pipelines.refresh.training_songs import training_index

_NIGHTS_REMEMBERED = 5
_POOL, _STORE = "pool.parquet", "pairs"
Result = dict[str, Any]


def choose(setting: NightSetting, date: str) -> Result:
    """The night's prompts, each with the reason why it is one."""
    pool = setting.prompts(PromptSet.PAIR)
    weakness = weakness_of(pool, _earlier_errors(setting))
    config = setting.config
    kinds = [kind_of(prompt) for prompt in pool]
    chosen = choose_prompts(kinds, config.prompts_per_night, _night_name(setting, date), weakness, config.weak_share)
    kinds_of = {kind.prompt_id: kind.kind for kind in kinds}
    return {
        "prompts": [one.prompt_id for one in chosen],
        "num_weak": sum(one.why == "weak" for one in chosen),
        "kinds": len({kinds_of[one.prompt_id] for one in chosen}),
        "all_kinds": len(set(kinds_of.values())),
    }


def sing(setting: NightSetting, date: str, champion: Path, prompts: Sequence[str], places: SongPlaces) -> ScoredSongs:
    """The champion's candidates for the night's prompts, with what the training judges say of them."""
    wanted = set(prompts)
    request = SongRequest(
        model=champion,
        prompts=tuple(row for row in setting.prompts(PromptSet.PAIR) if row.prompt_id in wanted),
        songs_per_prompt=setting.config.candidates_per_prompt,
        seed=setting.seed_of("night", date),
        label=date,
    )
    return sing_and_score(setting, request, setting.pipeline(held_out=False), places)


def song_facts(songs: ScoredSongs) -> Result:
    """How many songs there are, why some were refused, and the means of their scores."""
    return {
        "num_candidates": len(songs.candidates),
        "num_refused": len(songs.refusals),
        "refusals": dict(Counter(f"{one.stage}: {one.reason}" for one in songs.refusals)),
        "means": mean_scores(songs.scored),
        "duration_s": round(sum(row.duration_s for row in songs.scored), 3),
    }


@dataclass(frozen=True, slots=True)
class Distinct:
    """Songs without copies: the ids that are left out, by the reason."""

    copied: tuple[str, ...]
    doubled: tuple[str, ...]

    @property
    def dropped(self) -> frozenset[str]:
        """All that are left out."""
        return frozenset((*self.copied, *self.doubled))


def distinct(candidates: Sequence[CandidateRow], corpus: CopyIndex, rules: CopyRules) -> Distinct:
    """Find songs that repeat a training song, and of songs of one prompt that are the same all but the first."""
    copied, doubled = [], []
    seen: dict[str, list[Any]] = {}
    for row in candidates:
        windows = fingerprints(row.codes, rules)
        earlier = seen.setdefault(row.prompt_id, [])
        if corpus.share_of(windows) >= rules.max_share:
            copied.append(row.candidate_id)
        elif any(share_in(windows, other) >= rules.max_share for other in earlier):
            doubled.append(row.candidate_id)
        else:
            earlier.append(windows)
    return Distinct(tuple(copied), tuple(doubled))


def pair_and_age(setting: NightSetting, date: str, head: Commit, songs: ScoredSongs, folder: Path) -> Result:
    """New pairs of the night's songs, added to the pool; every pair's drift under the champion, and the aged ones."""
    config, champion = setting.config, setting.store.model(head.champion)
    index = training_index(setting.context.places.corpus, setting.store.folder / "copies", config.copies)
    left_out = distinct(songs.candidates, index, config.copies)
    scored = [row for row in songs.scored if row.candidate_id not in left_out.dropped]
    noises = read_scorer_noise(setting.context.places.models)
    pairings = pair_candidates(scored, setting.context.config.alignment, noises, head.champion.digest)
    prompts = setting.prompts_by_id()
    candidates = {row.candidate_id: row for row in songs.candidates}
    made = [pair for axis in Axis for pair in pairings[axis].pairs]
    before = [] if head.pairs is None else read_pool(setting.store.pairs.open(head.pairs))
    if head.kind == ROLLBACK:
        before = rejuvenated(before)
    pool = appended(before, pooled(made, date, prompts, candidates, setting.store.objects))
    measured = _measured(setting, champion, [row for row in pool if row.is_active], prompts, folder / _STORE)
    pool = aged(pool, measured.likelihoods, date, config.max_policy_drift)
    write_atomically(folder / _POOL, lambda path: pq.write_table(table_of(pool, PooledPair), path))
    return {
        "num_copies": len(left_out.copied),
        "num_doubles": len(left_out.doubled),
        "new_pairs": {axis.value: sum(row.night == date for row in active(pool, axis)) for axis in Axis},
        "pairs": {axis.value: len(active(pool, axis)) for axis in Axis},
        "ties": {axis.value: pairings[axis].report.num_ties for axis in Axis},
        "aged": sum(row.aged_on == date for row in pool),
        "policy_drift": mean_drift(pool, date),
        "num_measured": measured.num_computed,
        "num_carried_over": len(measured.likelihoods) * 2 - measured.num_computed,
    }


def pool_of(folder: Path) -> list[PooledPair]:
    """The pool that the step left in its folder."""
    return records_of(pq.read_table(folder / _POOL), PooledPair)


@dataclass(frozen=True, slots=True)
class _Measured:
    likelihoods: Mapping[str, Any]
    num_computed: int


def _measured(
    setting: NightSetting, champion: Path, rows: Sequence[PooledPair], prompts: Mapping[str, PromptRow], folder: Path
) -> _Measured:
    if not rows:
        return _Measured({}, 0)
    cache = setting.store.reference
    store = write_training_pairs(rows, prompts, setting.store.objects, folder)
    num_computed = setting.hands.measure(champion, folder, cache, setting.precision)
    known = on_file(model_digest(champion), cache, setting.precision)
    return _Measured(likelihoods(store, known), num_computed)


def _earlier_errors(setting: NightSetting) -> Iterator[Mapping[str, float]]:
    """The phoneme error rates of the nights before, by prompt."""
    nights = [commit.night for commit in setting.store.commits.history() if commit.night is not None]
    for night in nights[:_NIGHTS_REMEMBERED]:
        yield metric_means(read_songs(setting.store.folder / night.songs).scored, PHONEME_ERROR_RATE).means


def _night_name(setting: NightSetting, date: str) -> str:
    return f"{setting.config.seed}/{date}"
