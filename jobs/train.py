"""`levo train`: stages 1 and 2 of a run, on Ray Train with DeepSpeed; with a stage's name, that stage alone."""

from collections.abc import Sequence
from dataclasses import dataclass

import tyro

from jobs.loop_command import LoopOptions, run_until


@dataclass(frozen=True, slots=True)
class TrainOptions(LoopOptions):
    """Pre-train the language model on mixed tokens, then extend it with the AR decoder.

    Steps before it are done first where they are not; what is done is skipped.
    `levo train STAGE SONGS OUT --from MODEL` trains one stage (pretrain, extend, sft, dpo) on songs of one's own;
    `levo train sft --help` tells of it. `levo train reward PREFERENCES OUT` fits a musicality reward.
    """


_STAGES = ("pretrain", "extend", "sft", "dpo")


def main(arguments: Sequence[str]) -> int:
    """Read the options and do the step; errors name what is wrong and leave what was done."""
    if arguments and arguments[0] in _STAGES:
        from jobs.tune import main as tune

        return int(tune(arguments))
    if arguments and arguments[0] == "reward":
        from jobs.train_reward import main as train_reward

        return train_reward(arguments[1:])
    return run_until(tyro.cli(TrainOptions, args=list(arguments), prog="levo train"), "train")
