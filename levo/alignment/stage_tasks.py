"""The task of every stage from its data on disk: supervised songs, or preference pairs with their reference."""

from typing import Any

from levo.alignment.pairs import PairStore
from levo.alignment.preference_task import PreferenceTask
from levo.alignment.reference import ReferenceStore
from levo.alignment.song_probability import fill_reference
from levo.training.encoded import EncodedConditions, encoded_conditions
from levo.training.examples import ExampleStore
from levo.training.loop import Task
from levo.training.metrics import step_cost
from levo.training.phase_run import PhaseSetting
from levo.training.phases import PhaseConfig, Stage
from levo.training.supervised import SupervisedTask


class StageTasks:
    """Opens a phase's data by its stage."""

    def data_digest(self, phase: PhaseConfig) -> str:
        """The digest of the songs or pairs."""
        return PairStore(phase.data).digest if phase.stage is Stage.DPO else ExampleStore(phase.data).digest

    def task(self, setting: PhaseSetting) -> Task[Any]:
        """The phase's task; for DPO the workers first share out the songs that the reference has not seen."""
        phase, model = setting.phase, setting.initial.model
        shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
        cost = step_cost(shapes, phase.stage)
        if phase.stage is not Stage.DPO:
            store = ExampleStore(phase.data)
            return SupervisedTask(phase, store, _conditions(store, setting), model.config, cost)
        pairs = PairStore(phase.data)
        conditions = _conditions(pairs.songs, setting)
        precision = phase.precision.on(model.device)
        reference = ReferenceStore(setting.cache / f"reference-{precision}")
        fill_reference(
            reference,
            setting.initial,
            pairs.songs,
            conditions,
            setting.workers,
            precision=precision,
            chunked=phase.chunked_loss,
        )
        setting.workers.wait()
        return PreferenceTask(phase, pairs, conditions, reference.read(setting.initial.digest), model.config, cost)


def _conditions(store: ExampleStore, setting: PhaseSetting) -> EncodedConditions:
    """Encoded by worker 0, read by all."""
    if setting.workers.rank == 0:
        encoded_conditions(store, setting.init_folder, setting.cache)
    setting.workers.wait()
    return encoded_conditions(store, setting.init_folder, setting.cache)
