"""`levo train STAGE SONGS OUT --from MODEL`: one stage on songs of one's own, from a model or an imported release."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

_DEFAULT_RATE = {"pretrain": 2e-4, "extend": 2e-4, "sft": 2e-5, "dpo": 1e-6}
_ADAPTER_RATE = 1e-4


@dataclass(frozen=True, slots=True)
class TuneOptions:
    """Train one stage on songs given as codes, from MODEL to OUT/STAGE/model.

    SONGS has a JSON object a line: `idx`, `gt_lyric`, `codes_path` (a .npy [3, T], beside the file), and if given
    `descriptions` and `prompt_codes_path`; for dpo `chosen_codes_path` and `rejected_codes_path`. All of it is checked,
    and the memory that a worker needs is printed, before training begins. Broken off, the same command goes on.
    """

    stage: Annotated[Literal["pretrain", "extend", "sft", "dpo"], tyro.conf.Positional]
    """pretrain moves the language model, extend the AR decoder, sft and dpo both."""
    songs: Annotated[Path, tyro.conf.Positional]
    """A JSONL file."""
    out: Annotated[Path, tyro.conf.Positional]
    """The folder of the run."""
    init: Annotated[Path, tyro.conf.arg(name="from")]
    """A model folder: of a run, or `levo import`ed from a release."""
    steps: int = 200
    """Optimiser steps."""
    batch: int = 8
    """Songs (or pairs) a step, over all workers."""
    micro_batches: int = 1
    """Passes that a worker's part of a step is cut into."""
    learning_rate: float | None = None
    """Unless told 2e-4 (pretrain, extend), 2e-5 (sft), 1e-6 (dpo), 1e-4 with --lora; the papers give none."""
    warmup: int = 10
    """Steps until the rate is reached."""
    beta: float = 0.1
    """What scales DPO's implicit reward."""
    lora: int = 0
    """Train adapters of this rank alone and merge them at the end; 0 trains the stage's weights."""
    lora_alpha: float = 16.0
    """Adapters are scaled by this over their rank."""
    recompute: bool = False
    """Keep the layers' inputs alone and compute the rest twice: less memory, about a third more time."""
    compile: bool = False
    """Have torch compile the layers first (about a minute): faster steps on some machines."""
    precision: Literal["native", "float32", "bfloat16"] = "native"
    """Of the forward pass; weights and optimiser are float32. native is bfloat16 where the device computes it."""
    workers: int = 0
    """Workers on Ray Train with DeepSpeed; 0 trains in this process."""
    gpu: bool = False
    """Whether every worker has a GPU."""
    zero_stage: Literal[0, 1, 2, 3] = 1
    """What DeepSpeed shares out among workers: from 1 the optimiser, 2 gradients, 3 weights."""
    checkpoint_every: int = 200
    """Steps between checkpoints."""
    seed: int = 0
    """Decides order, dropped conditions and adapters."""
    plan: bool = False
    """Print what would be needed, and stop there."""


def main(arguments: Sequence[str]) -> int:
    """Check the songs, print the plan, train."""
    options = tyro.cli(TuneOptions, args=list(arguments), prog="levo train")

    from contextlib import ExitStack

    from jobs.cluster import ray_cluster
    from jobs.progress import RunProgress
    from levo.model.store import load_config
    from levo.release.importing import release_rules
    from levo.training.lora import LoraOptions
    from levo.training.memory_plan import plan_lines
    from levo.training.phases import Stage
    from levo.training.precision import Precision
    from pipelines.flow.run_folder import RunFolder, held_alone
    from pipelines.tuning.run import TuningConfig, memory_of, sizes_of, store_examples, tune, tuning_phase
    from pipelines.tuning.song_file import TuningText, longest_song, read_pairs, read_songs

    model_config = load_config(options.init)
    config = TuningConfig(
        stage=Stage(options.stage),
        steps=options.steps,
        batch=options.batch,
        learning_rate=_rate(options),
        warmup=min(options.warmup, options.steps - 1),
        seed=options.seed,
        micro_batches=options.micro_batches,
        beta=options.beta,
        lora=LoraOptions(options.lora, options.lora_alpha) if options.lora else None,
        recompute=options.recompute,
        compile=options.compile,
        precision=Precision(options.precision),
        workers=options.workers,
        use_gpu=options.gpu,
        zero_stage=options.zero_stage,
        checkpoint_every=options.checkpoint_every,
    )
    text = TuningText(model_config, release_rules(options.init))
    examples = read_pairs(options.songs, text) if options.stage == "dpo" else read_songs(options.songs, text)
    longest = longest_song(examples)
    phase = tuning_phase(config, options.init, model_config, options.out)
    sizes = sizes_of(model_config, phase)
    print(f"{len(examples)} {'pairs' if options.stage == 'dpo' else 'songs'}, the longest {longest} frames")
    print(f"{sizes.num_parameters / 1e6:.2f} M parameters, {sizes.num_trained / 1e6:.2f} M of them trained")
    print("\n".join(plan_lines(memory_of(config, model_config, phase, longest))))
    if options.plan:
        return 0
    RunFolder(options.out, {"tune": options.stage, "from": str(options.init.resolve())})
    with ExitStack() as stack:
        stack.enter_context(held_alone(options.out))
        if options.workers:
            stack.enter_context(ray_cluster())
        progress = RunProgress(num_steps=1)
        show = stack.enter_context(progress.step(options.stage))
        phase = tuning_phase(config, options.init, model_config, store_examples(examples, options.out))
        result = tune(config, phase, options.out, lambda _, logged: show(logged.step, logged.num_steps))
    values = ", ".join(f"{name} {value:.4g}" for name, value in result.metrics.items() if "/" not in name)
    print(f"{result.num_steps} steps{' done before' if result.skipped else ''}: {values}")
    print(f"model    {result.model_folder}  {result.model_digest}")
    return 0


def _rate(options: TuneOptions) -> float:
    if options.learning_rate is not None:
        return options.learning_rate
    return _ADAPTER_RATE if options.lora and options.stage != "dpo" else _DEFAULT_RATE[options.stage]
