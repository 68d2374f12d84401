"""What the loop's longer steps have done beside them, each piece for a later step that finds it done."""

import time

from pipelines.flow.executor import InProcessExecutor
from pipelines.loop.context import LoopContext
from pipelines.loop.data_steps import label_separation_sample, make_prompts
from pipelines.loop.evaluation_steps import report_sets
from pipelines.loop.sampling_steps import render_control
from pipelines.loop.scoring_steps import score_sets
from pipelines.loop.song_sets import COMPARED, CONTROL_REPORT, candidates_of

_LOOK_EVERY_S = 0.5


def prepare_ahead(context: LoopContext) -> None:
    """Beside training: the prompts, the sample that is separated, and the songs of the control."""
    make_prompts(context, _quiet)
    label_separation_sample(context, _quiet, InProcessExecutor())
    render_control(context, _quiet)


def score_compared_ahead(context: LoopContext) -> None:
    """Beside alignment: the scores of the songs that the aligned models' will be held against."""
    for song_set in (CONTROL_REPORT, *COMPARED):
        score_sets(context, [song_set], _quiet, InProcessExecutor())


def score_report_ahead(context: LoopContext) -> None:
    """Beside the sampling of the report's songs: the scores of each model's as soon as they are there."""
    for song_set in (CONTROL_REPORT, *report_sets()):
        while candidates_of(context, song_set) is None:
            time.sleep(_LOOK_EVERY_S)
        score_sets(context, [song_set], _quiet, InProcessExecutor())


def _quiet(_done: int, _total: int) -> None:
    """Nobody watches."""
