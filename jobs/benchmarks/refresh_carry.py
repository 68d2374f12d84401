"""Log-probabilities of pairs: computed once under a model, carried over while it stays, done again when it goes."""

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from jobs.benchmarks.refresh_line import TrialLine, night_without_training
from levo.model.store import model_digest
from levo.training.precision import Precision
from pipelines.refresh.measuring import fill, on_file

_DATE = "2026-01-01"


@dataclass(frozen=True, slots=True)
class Carried:
    """Medians over rounds, in CPU seconds; and how many songs each call computed."""

    num_songs: int
    computed_s: float
    carried_s: float
    num_carried_computed: int
    num_changed_computed: int

    @property
    def ratio(self) -> float:
        """What carrying over costs of computing."""
        return self.carried_s / self.computed_s

    @property
    def table(self) -> str:
        """The figures in lines."""
        return "\n".join(
            [
                f"{self.num_songs} songs of pairs: computed in {self.computed_s:.2f} CPU s",
                f"carried over under the same model: {self.carried_s:.4f} CPU s, {self.ratio:.4f} of it; "
                f"{self.num_carried_computed} songs computed",
                f"under another model: {self.num_changed_computed} songs computed",
            ]
        )


def compare_carry(run: Path, recipe: str, folder: Path, num_rounds: int) -> Carried:
    """Measure a night's pairs under the champion, again under the same, and under the run's first model."""
    setting = TrialLine(run, recipe, folder / "line").setting()
    champion = setting.store.model(night_without_training(setting, _DATE))
    (pairs,) = setting.store.night(_DATE).glob("attempt-*/pair/pairs")
    other = setting.context.places.lelm("initial")
    rounds = []
    for _ in range(num_rounds):
        with tempfile.TemporaryDirectory(dir=folder) as place:
            cache = Path(place)
            first = _timed(champion, pairs, cache, setting.precision)
            again = _timed(champion, pairs, cache, setting.precision)
            changed = fill(other, pairs, cache, setting.precision)
            rounds.append((*first, *again, changed, len(on_file(model_digest(champion), cache, setting.precision))))
    return Carried(
        num_songs=rounds[0][5],
        computed_s=median(one[0] for one in rounds),
        carried_s=median(one[2] for one in rounds),
        num_carried_computed=rounds[0][3],
        num_changed_computed=rounds[0][4],
    )


def _timed(model: Path, pairs: Path, cache: Path, precision: Precision) -> tuple[float, int]:
    began_s = time.process_time()
    number = fill(model, pairs, cache, precision)
    return time.process_time() - began_s, number
