"""One training phase from a model folder to another: the plan of its memory first, then in process or on Ray Train."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from levo.alignment.in_process import run_phases_in_process
from levo.alignment.pairs import PairExample, write_pairs
from levo.model.config import LeLMConfig
from levo.model.construction import empty_lelm
from levo.training.examples import TrainingExample, write_examples
from levo.training.freezing import freeze_all_but
from levo.training.loop import LoggedStep
from levo.training.lora import LoraOptions, add_adapters
from levo.training.memory_plan import MemoryPlan, TrainedSizes, plan_memory
from levo.training.phases import NO_DROPOUT, RELEASED_DROPOUT, PhaseConfig, PreferenceOptions, Stage
from levo.training.precision import Precision
from levo.training.results import PhaseResult
from pipelines.flow.run_folder import remove_tree
from pipelines.loop.deepspeed_engine import ZeroOptions
from pipelines.loop.training import TrainingScale, run_phases

MANY_CLASSES = 4096
"""From so many classes on losses are computed without all logits in memory."""
_DATA = "data"


@dataclass(frozen=True, slots=True, kw_only=True)
class TuningConfig:
    """How a model is tuned; no workers means in this process, else that many on Ray Train with DeepSpeed."""

    stage: Stage
    steps: int
    batch: int
    learning_rate: float
    warmup: int = 0
    seed: int = 0
    micro_batches: int = 1
    beta: float = 0.1
    lora: LoraOptions | None = None
    recompute: bool = False
    compile: bool = False
    precision: Precision = Precision.NATIVE
    workers: int = 0
    use_gpu: bool = False
    zero_stage: int = 1
    checkpoint_every: int = 200


def store_examples(examples: Sequence[TrainingExample] | Sequence[PairExample], out: Path) -> Path:
    """Write the songs or pairs where training reads them; what an earlier call wrote is replaced."""
    folder = out / _DATA
    remove_tree(folder)
    pairs = [one for one in examples if isinstance(one, PairExample)]
    if pairs:
        write_pairs(pairs, folder)
    else:
        write_examples([one for one in examples if isinstance(one, TrainingExample)], folder)
    return folder


def tuning_phase(config: TuningConfig, model: Path, model_config: LeLMConfig, data: Path) -> PhaseConfig:
    """The phase that a tuning is."""
    return PhaseConfig(
        name=config.stage.value,
        stage=config.stage,
        data=data,
        num_steps=config.steps,
        batch_rows=config.batch,
        micro_batches=config.micro_batches,
        learning_rate=config.learning_rate,
        warmup_steps=config.warmup,
        seed=config.seed,
        dropout=NO_DROPOUT if config.stage is Stage.DPO else RELEASED_DROPOUT,
        preference=PreferenceOptions(config.beta),
        precision=config.precision,
        init_model=model,
        checkpoint_every=config.checkpoint_every,
        chunked_loss=model_config.num_classes > MANY_CLASSES,
        recompute_activations=config.recompute,
        compile_layers=config.compile,
        lora=config.lora,
    )


def sizes_of(model_config: LeLMConfig, phase: PhaseConfig) -> TrainedSizes:
    """Parameters in all and trained, counted on a model without weights."""
    model = empty_lelm(model_config)
    if phase.lora is not None:
        add_adapters(model, phase.lora, 0)
    else:
        freeze_all_but(model, phase.stage.trained_part)
    sizes = [(parameter.numel(), parameter.requires_grad) for parameter in model.parameters()]
    return TrainedSizes(sum(size for size, _ in sizes), sum(size for size, is_trained in sizes if is_trained))


def memory_of(config: TuningConfig, model_config: LeLMConfig, phase: PhaseConfig, num_frames: int) -> MemoryPlan:
    """What a tuning needs on each worker, for songs of up to `num_frames`."""
    return plan_memory(
        model_config,
        sizes_of(model_config, phase),
        phase,
        num_frames,
        zero_stage=config.zero_stage if config.workers else 0,
        num_workers=max(1, config.workers),
        computes_narrow=config.precision is not Precision.FLOAT32,
    )


def tune(config: TuningConfig, phase: PhaseConfig, out: Path, on_log: Callable[[str, LoggedStep], None]) -> PhaseResult:
    """Run the phase in `out`; broken off, the same call goes on from its last checkpoint."""
    if not config.workers:
        device = "cuda" if config.use_gpu else "cpu"
        return run_phases_in_process([phase], out, on_log, device=device)[0]
    scale = TrainingScale(
        num_workers=config.workers,
        cpus_per_worker=1,
        use_gpu=config.use_gpu,
        zero=ZeroOptions(config.zero_stage),
    )
    return run_phases([phase], out, on_log, scale)[0]
