"""Where a model of the line comes from: its trainings, the pairs they saw, and the songs and prompts of the pairs."""

from dataclasses import dataclass
from statistics import fmean

from pipelines.refresh.commits import Commit, ModelEntry
from pipelines.refresh.model_lookup import UnknownModelError, model_beginning
from pipelines.refresh.pool import PooledPair, read_pool
from pipelines.refresh.store import RefreshStore


@dataclass(frozen=True, slots=True)
class PairSummary:
    """Pairs of one axis and night: how many a training saw, the judge that made them, and the model that sang."""

    axis: str
    night: str
    number: int
    scorer_digest: str
    singer: str
    mean_gap: float


@dataclass(frozen=True, slots=True)
class Generation:
    """A model, and the night that made it from the champion before: its parts, its pairs, what the gate said."""

    model: ModelEntry
    is_champion: bool
    commit: Commit | None
    pairs: tuple[PairSummary, ...]
    num_songs: int
    num_prompts: int
    parent: ModelEntry | None


def lineage(store: RefreshStore, beginning: str) -> list[Generation]:
    """The generations from a model (by the beginning of its digest, or `champion`, `previous`) back to the first.

    Raises UnknownModelError, with what there is, where none or several models are meant.
    """
    history = list(store.commits.history())
    if not history:
        raise UnknownModelError(f"{store.folder} holds no line of champions; `levo refresh` begins one")
    model: ModelEntry | None = _named(history, beginning)
    generations = []
    while model is not None:
        generations.append(_generation(store, history, model))
        model = generations[-1].parent
    return generations


def pairs_seen(store: RefreshStore, commit: Commit | None) -> list[PooledPair]:
    """The pairs that a night's training saw; none for the first model."""
    if commit is None or commit.pairs is None or commit.night is None:
        return []
    rows = read_pool(store.pairs.open(commit.pairs))
    return [row for row in rows if row.is_active and row.pair.axis.value in commit.night.trained_axes]


def _named(history: list[Commit], beginning: str) -> ModelEntry:
    head = history[0]
    by_role = {"champion": head.champion, "previous": head.previous}
    if beginning in by_role:
        found = by_role[beginning]
        if found is None:
            raise UnknownModelError("the line has no previous champion yet")
        return found
    models = (entry for commit in history for entry in _models(commit))
    return model_beginning(models, beginning, "models", tuple(by_role))


def _models(commit: Commit) -> list[ModelEntry]:
    gated = [commit.night.gate.candidate] if commit.night is not None and commit.night.gate is not None else []
    return [entry for entry in (commit.champion, commit.previous, *gated) if entry is not None]


def _generation(store: RefreshStore, history: list[Commit], model: ModelEntry) -> Generation:
    made = next((one for one in history if one.night and one.night.gate and one.night.gate.candidate == model), None)
    # The night's own parent is the state that it trained from.
    before = None if made is None or made.parent is None else store.commits.read(made.parent)
    rows = pairs_seen(store, made)
    songs = {name for row in rows for name in (row.pair.chosen_id, row.pair.rejected_id)}
    return Generation(
        model=model,
        is_champion=any(one.champion == model for one in history),
        commit=made,
        pairs=_summaries(rows),
        num_songs=len(songs),
        num_prompts=len({row.pair.prompt_id for row in rows}),
        parent=None if before is None else before.champion,
    )


def _summaries(rows: list[PooledPair]) -> tuple[PairSummary, ...]:
    gaps: dict[tuple[str, str, str, str], list[float]] = {}
    for row in rows:
        origin = (row.pair.axis.value, row.night, row.pair.scorer_digest, row.pair.model_digest)
        gaps.setdefault(origin, []).append(row.pair.gap)
    return tuple(
        PairSummary(axis, night, len(found), scorer, singer, fmean(found))
        for (axis, night, scorer, singer), found in sorted(gaps.items())
    )
