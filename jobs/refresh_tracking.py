"""Tells the tracker what a night did: a run a night, a child a step, tables of songs, and the aliases of the line."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from jobs.lineage.code import code_tags
from jobs.lineage.parameters import flat_parameters
from jobs.tracking.numbers import numbers_in
from jobs.tracking.protocol import (
    CANDIDATE,
    CHAMPION,
    PREVIOUS,
    DatasetReference,
    ModelReference,
    Parameter,
    RunStatus,
    TrackedRun,
    Tracker,
)
from jobs.tracking.system_metrics import system_metrics
from levo.song.digest import digest_json
from levo.training.loop import LoggedStep
from pipelines.loop.metrics import PHONEME_ERROR_RATE
from pipelines.loop.records import ScoredRow
from pipelines.refresh.commits import Commit, ModelEntry
from pipelines.refresh.lease import LostLeaseError
from pipelines.refresh.line_facts import LINE_FILE, read_facts
from pipelines.refresh.night import NightResult
from pipelines.refresh.pool import POOL
from pipelines.refresh.setting import NightSetting
from pipelines.refresh.songs import ScoredSongs, read_songs
from pipelines.refresh.store import RefreshStore

_SONGS_HEARD = 6
"""Songs of a night whose sound goes to the server: the best and the worst by phoneme error."""


def registered_line(store: RefreshStore) -> str:
    """The registry's name of a line: its versions are all that were candidates, its aliases say what they are now.

    Raises FileNotFoundError where the store holds no line.
    """
    facts = read_facts(store.folder)
    if facts is None:
        raise FileNotFoundError(f"{store.folder} holds no {LINE_FILE}; expected the store of a line of champions")
    return facts.name


@dataclass(frozen=True, slots=True)
class NightTracking:
    """The run of one night."""

    tracker: Tracker
    setting: NightSetting
    date: str
    recipe: str
    line: str
    """The line's registered name (`registered_line`)."""
    _open: set[str] = field(default_factory=set)
    """Steps whose runs have begun and not ended: the one at work, and the parts of it that were told of."""

    @property
    def run_key(self) -> str:
        """Equal for equal nights: attempts at one are one run."""
        return digest_json({"line": self.line, "night": self.date})

    @property
    def _parent(self) -> TrackedRun:
        return self.tracker.run(self.run_key, f"refresh-{self.recipe}-{self.date}")

    @contextmanager
    def night(self) -> Iterator[NightSetting]:
        """The setting with a watch that tells steps and curves as they come; the run ends as the block does."""
        parent = self._parent
        parent.log_parameters({"date": self.date, **flat_parameters(self.setting.config)})
        parent.log_tags(code_tags())
        watch = replace(self.setting.watch, on_step=self._begin, on_log=self._interval)
        try:
            with system_metrics(parent):
                yield replace(self.setting, watch=watch)
        except LostLeaseError:
            # The run is that of whoever took the night over.
            raise
        except BaseException as error:
            parent.log_tags({"error": f"{type(error).__name__}: {error}"[:500]})
            status = RunStatus.KILLED if isinstance(error, KeyboardInterrupt) else RunStatus.FAILED
            self._end_steps(status)
            parent.finish(status)
            raise
        self._end_steps(RunStatus.FINISHED)
        parent.finish()

    def complete(self, result: NightResult) -> None:
        """All of a night that is committed, now or before."""
        commit, store = result.commit, self.setting.store
        for name, step in result.steps.items():
            run = self.tracker.step(self.run_key, name)
            run.log_metrics({"wall_s": step.wall_s, **numbers_in(step.result)})
            run.finish()
        night = commit.night
        if night is None:
            return
        parent = self._parent
        parent.log_metrics(numbers_in({"pairs": night.new_pairs, "means": night.means, "report": night.report}))
        parent.log_tags(_tags(commit))
        if commit.pairs is not None:
            snapshot = store.pairs.open(commit.pairs)
            rows = sum(file.num_rows for file in snapshot.manifest.files if file.table == POOL)
            parent.log_dataset(DatasetReference(POOL, commit.pairs, snapshot.folder.resolve().as_uri(), rows), "output")
        self._tell_songs(read_songs(store.folder / night.songs))
        aliases = _aliases(commit)
        if night.gate is not None:
            parent.log_model(_reference(self.line, store, night.gate.candidate))
            aliases = {CANDIDATE: night.gate.candidate.digest, **aliases}
        _tell_champions(parent, self.line, store, commit)
        parent.log_aliases(self.line, aliases, commit.number)

    def _tell_songs(self, songs: ScoredSongs) -> None:
        run = self.tracker.step(self.run_key, "songs")
        run.log_table("candidates", _columns(songs))
        for row in _heard(songs.scored):
            file = self.setting.store.sounds / "objects" / row.audio.path
            if file.is_file():
                run.log_artifact(file, f"audio/{row.prompt_id}")

    def _begin(self, step: str) -> None:
        self._end_steps(RunStatus.FINISHED)
        self._open.add(step)
        self.tracker.step(self.run_key, step).log_tags(code_tags())

    def _end_steps(self, status: RunStatus) -> None:
        for step in sorted(self._open, reverse=True):
            self.tracker.step(self.run_key, step).finish(status)
        self._open.clear()

    def _interval(self, phase: str, logged: LoggedStep) -> None:
        self._open.add(f"align/{phase}")
        run = self.tracker.step(self.run_key, f"align/{phase}")
        run.log_metrics(logged.metrics | logged.speed, logged.step)


def track_rollback(tracker: Tracker, line: str, store: RefreshStore, commit: Commit) -> None:
    """A run of its own, which moves the aliases."""
    run = tracker.run(commit.commit_id, f"rollback-{commit.champion.digest[:12]}")
    run.log_tags({"reason": commit.note, **_tags(commit)})
    _tell_champions(run, line, store, commit)
    run.log_aliases(line, _aliases(commit), commit.number)
    run.finish()


def _tell_champions(run: TrackedRun, line: str, store: RefreshStore, commit: Commit) -> None:
    """All that an alias may stand for: a server may never have heard of the one before, which the line began with."""
    for entry in (commit.previous, commit.champion):
        if entry is not None:
            run.log_model(_reference(line, store, entry))


def _aliases(commit: Commit) -> dict[str, str | None]:
    previous = None if commit.previous is None else commit.previous.digest
    return {PREVIOUS: previous, CHAMPION: commit.champion.digest}


def _tags(commit: Commit) -> dict[str, str]:
    tags = {"commit": commit.commit_id, "champion_sha256": commit.champion.digest, "kind": commit.kind}
    night = commit.night
    if night is None:
        return tags
    told = {"trained": ", ".join(night.trained_axes) or "nothing", "reasons": "; ".join(night.reasons)}
    gate = {} if night.gate is None else {"gate": "promoted" if night.gate.is_promoted else "refused"}
    why = {} if night.gate is None else {"gate_reasons": "; ".join(night.gate.reasons)}
    alarms = {"alarms": "; ".join(night.alarms)} if night.alarms else {}
    return tags | told | gate | why | alarms


def _reference(line: str, store: RefreshStore, entry: ModelEntry) -> ModelReference:
    return ModelReference(line, store.model(entry).as_uri(), entry.digest)


def _columns(songs: ScoredSongs) -> Mapping[str, Sequence[Parameter]]:
    asked = {row.candidate_id: row for row in songs.candidates}
    names = sorted({name for row in songs.scored for name in row.scores})
    columns: dict[str, list[Parameter]] = {
        "candidate": [row.candidate_id for row in songs.scored],
        "prompt": [row.prompt_id for row in songs.scored],
        "lyrics": [asked[row.candidate_id].lyrics for row in songs.scored],
        "heard": [" ".join(row.heard_words) for row in songs.scored],
        "tags": [", ".join(asked[row.candidate_id].tags) for row in songs.scored],
        "duration_s": [row.duration_s for row in songs.scored],
    }
    scores = {name: [row.scores[name].value if name in row.scores else None for row in songs.scored] for name in names}
    return columns | scores


def _heard(rows: Sequence[ScoredRow]) -> list[ScoredRow]:
    known = [row for row in rows if row.scores[PHONEME_ERROR_RATE.name].value is not None]
    ranked = sorted(known, key=lambda row: (row.scores[PHONEME_ERROR_RATE.name].value or 0.0, row.candidate_id))
    half = _SONGS_HEARD // 2
    return ranked if len(ranked) <= _SONGS_HEARD else [*ranked[:half], *ranked[-half:]]
