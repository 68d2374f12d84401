"""A night of a line of champions: its steps in order, and the one moment at which all that it did becomes so."""

import importlib.metadata
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from levo.song.scores import Axis
from pipelines.flow.typed_json import read_record
from pipelines.loop.evaluation import mean_scores
from pipelines.refresh.attempt import Attempt, StepOutcome
from pipelines.refresh.beside import beside
from pipelines.refresh.champion_songs import champion_songs
from pipelines.refresh.commits import NIGHT, Commit, GateRecord, ModelEntry, NightRecord
from pipelines.refresh.decision_steps import Votes, agreement, decide_training
from pipelines.refresh.gate_steps import gate_record, gate_songs, judge, num_looks, report_songs
from pipelines.refresh.held_line import HeldLine, held_line
from pipelines.refresh.line import begin_line, check_champion
from pipelines.refresh.pair_steps import choose, pair_and_age, pool_of, sing, song_facts
from pipelines.refresh.pool import PooledPair, publish_pool
from pipelines.refresh.setting import NightSetting
from pipelines.refresh.songs import ScoredSongs, SongPlaces, read_songs
from pipelines.refresh.training_steps import AxisTraining, align, examine, mix, planned

Result = dict[str, Any]


@dataclass(frozen=True, slots=True)
class NightResult:
    """What came of a night: the commit, whether this call made it, and what each step took (none where it did not)."""

    commit: Commit
    is_new: bool
    steps: dict[str, StepOutcome]


def run_night(setting: NightSetting, date: str) -> NightResult:
    """Take the line's lease, and do a night under it (`held_night`).

    Raises HeldLeaseError where somebody else is at work on this line.
    """
    with held_line(setting.store, setting.config.lease_s) as held:
        return held_night(setting, date, held)


def held_night(setting: NightSetting, date: str, held: HeldLine) -> NightResult:
    """Do a night, from wherever an earlier attempt at it was broken off; one that was committed is left as it is.

    Raises LostLeaseError where this process was taken for dead: nothing of the night was committed then.
    ForeignLineError where the store holds another line, or another model in the champion's place.
    """
    head = begin_line(setting, held.commits, held.check)
    setting.store.show_head()
    done = next((one for one in setting.store.commits.history() if one.night and one.night.date == date), None)
    if done is not None:
        return NightResult(done, is_new=False, steps={})
    check_champion(setting, head)
    inputs = {"line": setting.night, "date": date, "head": head.commit_id}
    attempt = Attempt(setting.store.night(date), held.lease, inputs, setting.watch.on_step)
    return _Night(setting, date, head, attempt, held).run()


class _Night:
    def __init__(self, setting: NightSetting, date: str, head: Commit, attempt: Attempt, held: HeldLine) -> None:
        self._setting, self._date, self._head, self._attempt = setting, date, head, attempt
        self._commits, self._check = held.commits, held.check
        self._look = num_looks(setting)
        self._steps: dict[str, StepOutcome] = {}

    def run(self) -> NightResult:
        chosen = self._step("choose", lambda _: choose(self._setting, self._date))
        songs, sung = self._songs(chosen["prompts"])
        paired = self._step("pair", lambda folder: pair_and_age(self._setting, self._date, self._head, songs, folder))
        pool = pool_of(self._steps["pair"].folder)
        told = self._step("agree", lambda _: self._agreement(songs, pool))
        agreed = {axis: read_record(Votes, votes) for axis, votes in told.items()}
        decided = self._step("decide", lambda _: asdict(decide_training(self._setting, self._date, pool, sung, agreed)))
        axes = [Axis(axis) for axis in decided["axes"]]
        trained = self._trained(pool, axes)
        gated = None if trained is None else self._candidate(*trained)
        champion = self._champion(gated)
        report = self._report(champion) if gated is not None and gated.is_promoted else {}
        record = self._record(chosen, sung, paired, agreed, decided, gated, report, trained)
        return self._commit(pool, champion, record)

    def _songs(self, prompts: list[str]) -> tuple[ScoredSongs, Result]:
        def act(folder: Path) -> Result:
            songs = sing(
                self._setting, self._date, self._setting.store.model(self._head.champion), prompts, self._places
            )
            songs.write(folder)
            return song_facts(songs)

        facts = self._step("songs", act)
        return read_songs(self._steps["songs"].folder), facts

    def _agreement(self, songs: ScoredSongs, pool: list[PooledPair]) -> Result:
        singer = self._head.champion.digest
        found = agreement(self._setting, self._date, singer, songs, pool, self._places)
        return {axis: asdict(votes) for axis, votes in found.items()}

    def _trained(self, pool: list[PooledPair], axes: list[Axis]) -> tuple[AxisTraining, list[Axis]] | None:
        """Train the axes in which the preflight finds nothing wrong; None where there is none."""
        if not axes:
            return None
        setting, champion, work = self._setting, self._head.champion, self._attempt.work
        base = setting.store.model(champion)
        plan = planned(setting, pool, axes, base, work / "pairs", work / "training")
        trial = setting.config.preflight
        if trial is not None:
            found = self._step("preflight", lambda _: examine(setting, pool, plan, trial, work / "preflight"))
            axes = [axis for axis in axes if axis.value not in found["problems"]]
        if not axes:
            return None

        def sing_ahead(watched: NightSetting) -> None:
            champion_songs(watched, self._date, axes, champion, self._look, self._places)

        with beside(setting, sing_ahead):
            self._step("align", lambda _: align(setting, plan.only(axes)), [axis.value for axis in axes])
        return plan, axes

    def _candidate(self, plan: AxisTraining, axes: list[Axis]) -> GateRecord:
        setting, champion = self._setting, self._head.champion
        mixed = self._step("mix", lambda folder: mix(setting, self._date, axes, plan, champion, self._places, folder))
        return self._gate(read_record(ModelEntry, mixed["candidate"]))

    def _gate(self, candidate: ModelEntry) -> GateRecord:
        setting, champion, look = self._setting, self._head.champion, self._look

        def act(folder: Path) -> Result:
            # Both are heard alike, by the same judges, whichever sang first.
            old = gate_songs(setting, champion, champion.digest, look, self._places)
            new = gate_songs(setting, candidate, candidate.digest, look, self._places)
            old.write(folder / "champion")
            new.write(folder / "candidate")
            return asdict(gate_record(setting, look, candidate, judge(setting, look, old, new)))

        return read_record(GateRecord, self._step("gate", act))

    def _champion(self, gated: GateRecord | None) -> ModelEntry:
        return gated.candidate if gated is not None and gated.is_promoted else self._head.champion

    def _report(self, champion: ModelEntry) -> Result:
        def act(folder: Path) -> Result:
            songs = report_songs(self._setting, champion, self._places)
            songs.write(folder)
            return mean_scores(songs.scored)

        return self._step("report", act) if self._setting.config.has_report else {}

    def _record(
        self,
        chosen: Result,
        sung: Result,
        paired: Result,
        agreed: Mapping[str, Votes],
        decided: Result,
        gated: GateRecord | None,
        report: Result,
        trained: tuple[AxisTraining, list[Axis]] | None,
    ) -> NightRecord:
        store = self._setting.store.folder
        return NightRecord(
            date=self._date,
            num_prompts=len(chosen["prompts"]),
            num_candidates=sung["num_candidates"],
            num_refused=sung["num_refused"],
            num_copies=paired["num_copies"] + paired["num_doubles"],
            new_pairs=paired["new_pairs"],
            aged_pairs=paired["aged"],
            policy_drift=float(paired["policy_drift"]),
            means=sung["means"],
            agreement={axis: votes.share for axis, votes in agreed.items()},
            trained_axes=tuple(axis.value for axis in trained[1]) if trained else (),
            reasons=tuple(decided["reasons"]),
            alarms=(*decided["alarms"], *self._problems(), *(gated.alarms if gated else ())),
            attempts=self._attempts(),
            songs=self._steps["songs"].folder.relative_to(store).as_posix(),
            gate=gated,
            report=report,
        )

    def _attempts(self) -> tuple[str, ...]:
        """All whose steps the night is made of: what an earlier one finished lies in its own folder."""
        folders = {self._attempt.folder, *(step.folder.parent for step in self._steps.values())}
        return tuple(sorted(folder.relative_to(self._setting.store.folder).as_posix() for folder in folders))

    def _problems(self) -> tuple[str, ...]:
        """What the preflight found, for a person."""
        found = self._steps["preflight"].result["problems"] if "preflight" in self._steps else {}
        return tuple(f"{axis}: not trained on: {problem}" for axis, told in found.items() for problem in told)

    def _commit(self, pool: list[PooledPair], champion: ModelEntry, record: NightRecord) -> NightResult:
        """Publish the pool, then move the head: before that nothing of the night is so, after it all is."""
        setting = self._setting
        setting.store.objects.flush(reference for row in pool if row.night == self._date for reference in row.tokens)
        versions = {"levo": importlib.metadata.version("levo"), "champion": self._head.champion.digest}
        snapshot = publish_pool(setting.store.pairs, pool, versions, self._check)
        self._check()
        is_new = champion.digest != self._head.champion.digest
        commit = self._commits.commit(
            Commit(
                kind=NIGHT,
                parent=None,
                champion=champion,
                previous=self._head.champion if is_new else self._head.previous,
                pairs=snapshot.manifest.snapshot_id,
                night=record,
            )
        )
        setting.store.show_head()
        self._attempt.committed(commit.commit_id)
        return NightResult(commit, is_new=True, steps=self._steps)

    def _step(self, name: str, act: Callable[[Path], Result], inputs: Any = None) -> Result:
        self._check()
        self._steps[name] = self._attempt.step(name, act, inputs)
        self._setting.watch.metrics.observe_stage(f"refresh.{name}", self._steps[name].wall_s)
        return self._steps[name].result

    @property
    def _places(self) -> SongPlaces:
        return SongPlaces(self._attempt.work / "songs", self._attempt.folder / "marks")
