"""The closed loop as a list of steps, in the order in which one feeds the next."""

from functools import partial
from pathlib import Path

from jobs.loop_run import LoopStep, StepResult, StepTools
from levo.song.digest import digest_json
from pipelines.loop.ahead import working_ahead
from pipelines.loop.ahead_work import prepare_ahead, score_compared_ahead, score_report_ahead
from pipelines.loop.data_steps import (
    fit_models,
    label_corpus,
    label_recordings,
    label_separation_sample,
    make_prompts,
    render_corpus,
)
from pipelines.loop.evaluation_steps import choose_mixture, merge_trials, report_sets, search_sets
from pipelines.loop.model_steps import align_models, build_initial_model, train_base
from pipelines.loop.sampling_steps import render_control, sample_sets
from pipelines.loop.scoring_steps import make_preferences, score_sets
from pipelines.loop.serving import stop_sampling
from pipelines.loop.song_sets import BASE_SETS, COMPARED, CONTROL_REPORT


def loop_steps(recordings: Path | None) -> tuple[LoopStep, ...]:
    """Every step of the loop; real recordings are labelled where a folder of them is given."""
    before: tuple[LoopStep, ...] = (
        LoopStep("render", "render songs, fit codec", lambda tools: render_corpus(tools.context, tools.progress), True),
        LoopStep("fit", "fit the judges", lambda tools: fit_models(tools.context, tools.progress), True),
        LoopStep("corpus", "label the corpus", lambda tools: label_corpus(tools.context, tools.progress), True),
    )
    if recordings is not None:
        label = partial(_recordings, recordings)
        found = _listing(recordings)
        before = (*before, LoopStep("recordings", "label real recordings", label, True, 1, found, is_followed=False))
    return (
        *before,
        LoopStep("initial", "build the song model", lambda tools: build_initial_model(tools.context)),
        LoopStep("train", "train stages 1 and 2", _train, True),
        LoopStep("prompts", "draw the prompts", lambda tools: make_prompts(tools.context, tools.progress)),
        LoopStep("separation", "separate a sample", _separate, True),
        LoopStep("control", "render the control", lambda tools: render_control(tools.context, tools.progress)),
        LoopStep("sample", "sample candidates", _sample_pairs, True),
        LoopStep("score", "score candidates", _score_pairs, True),
        LoopStep("pair", "make preference pairs", lambda tools: make_preferences(tools.context)),
        LoopStep("align", "align by DPO", _align, True),
        LoopStep("merge", "interpolate", lambda tools: merge_trials(tools.context)),
        LoopStep("search-sample", "sample the mixtures", _sample_search, True),
        LoopStep("search-score", "score the mixtures", _score_search, True),
        LoopStep("choose", "choose the mixture", lambda tools: choose_mixture(tools.context, tools.progress)),
        LoopStep("report-sample", "sample the report's songs", _sample_report, True),
        LoopStep("report-score", "score the report's songs", _score_report, True),
    )


def _separate(tools: StepTools) -> StepResult:
    return label_separation_sample(tools.context, tools.progress)


def _recordings(folder: Path, tools: StepTools) -> StepResult:
    return label_recordings(tools.context, folder, tools.progress)


def _listing(folder: Path) -> str:
    """A digest of the files' names, sizes and times: what is the same need not be looked at again."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    stats = [(path.relative_to(folder).as_posix(), path.stat()) for path in files]
    found = [[name, stat.st_size, stat.st_mtime_ns] for name, stat in stats]
    return digest_json([str(folder.resolve()), found])


def _train(tools: StepTools) -> StepResult:
    with working_ahead(tools.context, prepare_ahead):
        return train_base(tools.context, tools.progress, tools.log_curve)


def _align(tools: StepTools) -> StepResult:
    with working_ahead(tools.context, score_compared_ahead):
        return align_models(tools.context, tools.progress, tools.log_curve)


def _sample_pairs(tools: StepTools) -> StepResult:
    return sample_sets(tools.context, (*BASE_SETS, *COMPARED), tools.progress)


def _score_pairs(tools: StepTools) -> StepResult:
    return score_sets(tools.context, BASE_SETS, tools.progress)


def _sample_search(tools: StepTools) -> StepResult:
    tools.at_end(stop_sampling)
    sets = [one for one in search_sets(tools.context.config.merge) if one not in COMPARED]
    return sample_sets(tools.context, sets, tools.progress, more_follow=True)


def _score_search(tools: StepTools) -> StepResult:
    return score_sets(tools.context, search_sets(tools.context.config.merge), tools.progress)


def _sample_report(tools: StepTools) -> StepResult:
    with working_ahead(tools.context, score_report_ahead):
        return sample_sets(tools.context, [one for one in report_sets() if one not in COMPARED], tools.progress)


def _score_report(tools: StepTools) -> StepResult:
    return score_sets(tools.context, [CONTROL_REPORT, *report_sets()], tools.progress)
