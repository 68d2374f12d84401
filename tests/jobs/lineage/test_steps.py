"""The lineage of every step, from a run's folder made by hand."""

from typing import TYPE_CHECKING

import pytest

from jobs.lineage.phases import TrainingPhase
from jobs.lineage.records import EVALUATION, INPUT, OUTPUT, TRAINING, StepLineage
from jobs.lineage.steps import report_lineage, step_lineage
from jobs.loop_program import loop_steps

if TYPE_CHECKING:
    from tests.jobs.conftest import FinishedRun

REPORTED = ("control", "base", "lyric", "prompt", "musicality", "mixed", "interpolated")


def lineage_of(run: "FinishedRun", step: str) -> StepLineage:
    """As it is asked for while a run goes on: with the results up to the step."""
    steps = list(run.results)
    return step_lineage(step, run.context, {name: run.results[name] for name in steps[: steps.index(step) + 1]})


def datasets(lineage: StepLineage, part: str) -> dict[str, int]:
    return {use.dataset.name: use.dataset.num_rows for use in lineage.datasets if use.part == part}


def used(lineage: StepLineage) -> list[str]:
    return [model.name for model in lineage.used]


def made(lineage: StepLineage) -> dict[str, str]:
    return {one.model.name: one.model.sha256 for one in lineage.made}


def test_every_step_of_the_loop_is_known(finished_run: "FinishedRun") -> None:
    names = [step.name for step in loop_steps(finished_run.context.places.folder)]
    assert set(names) == set(finished_run.results)
    assert [name for name in names if lineage_of(finished_run, name) == StepLineage()] == []


def test_what_one_step_writes_the_next_reads_under_the_same_digest(finished_run: "FinishedRun") -> None:
    written: dict[str, str] = {}
    for step in finished_run.results:
        lineage = lineage_of(finished_run, step)
        for use in lineage.datasets:
            if use.part == OUTPUT:
                written[use.dataset.name] = use.dataset.digest
            elif use.dataset.name not in ("recordings", "separation-sample"):
                assert written[use.dataset.name] == use.dataset.digest, f"{step} reads {use.dataset.name}"
    assert len(set(written.values())) == len(written)


def test_the_parts_of_datasets_and_their_rows(finished_run: "FinishedRun") -> None:
    separation = lineage_of(finished_run, "separation")
    assert datasets(separation, INPUT) == {"separation-sample": 2}
    assert datasets(separation, EVALUATION) == {"rendered-truth": 3, "corpus": 3}
    assert datasets(separation, OUTPUT) == {"separated-corpus": 1}
    train = lineage_of(finished_run, "train")
    examples = {f"examples/{name}": number for name, number in finished_run.results["initial"]["examples"].items()}
    assert datasets(train, TRAINING) == examples == datasets(lineage_of(finished_run, "initial"), OUTPUT)
    align = lineage_of(finished_run, "align")
    assert datasets(align, TRAINING) == {"pairs/lyric": 1, "pairs/prompt": 1, "pairs/musicality": 1}
    assert datasets(align, OUTPUT) == {"pairs/mixed": 1}
    assert datasets(lineage_of(finished_run, "sample"), OUTPUT) == {"candidates/pair-base": 2}
    assert datasets(report_lineage(finished_run.context), EVALUATION) == {
        f"scores/report-{model}": 2 for model in REPORTED
    }


def test_only_the_separation_sample_is_held_against_the_truth(finished_run: "FinishedRun") -> None:
    readers = [
        step
        for step in finished_run.results
        for use in lineage_of(finished_run, step).datasets
        if use.dataset.name == "rendered-truth" and use.part != OUTPUT
    ]
    assert readers == ["separation"]


def test_models_are_made_under_their_names_with_the_digests_of_the_results(finished_run: "FinishedRun") -> None:
    assert made(lineage_of(finished_run, "fit")) == {
        "levo-tiny-codec": finished_run.digest_of("codec"),
        "levo-tiny-recogniser": finished_run.digest_of("recogniser"),
        "levo-tiny-tagger": finished_run.digest_of("tagger"),
        "levo-tiny-similarity-judge": finished_run.digest_of("similarity"),
        "levo-tiny-musicality-judge": finished_run.digest_of("reward"),
        "levo-tiny-tag-agreement-judge": finished_run.digest_of("tag_agreement"),
        "levo-tiny-defects-judge": finished_run.digest_of("defects"),
    }
    assert made(lineage_of(finished_run, "initial")).keys() == {"levo-tiny-initial", "levo-tiny-tokenizer"}
    assert made(lineage_of(finished_run, "train")) == {"levo-tiny-base": finished_run.digest_of("base")}
    assert made(lineage_of(finished_run, "merge")) == {
        "levo-tiny-mixture": finished_run.digest_of("merge-0.334-0.333-0.333")
    }
    aligned = lineage_of(finished_run, "align").made
    assert [(one.model.name, one.phase) for one in aligned] == [
        (f"levo-tiny-{name}", name) for name in ("lyric", "prompt", "musicality", "mixed")
    ]
    (chosen,) = lineage_of(finished_run, "choose").made
    assert (chosen.model.name, chosen.alias) == ("levo-tiny-interpolated", "candidate")
    assert chosen.model.uri == finished_run.context.places.lelm("interpolated").as_uri()


def test_the_tokenizer_is_another_one_where_a_file_of_it_changes(finished_run: "FinishedRun") -> None:
    before = made(lineage_of(finished_run, "initial"))["levo-tiny-tokenizer"]
    (finished_run.context.places.tokenizer / "vocab.json").write_text('{"moon": 0}')
    assert made(lineage_of(finished_run, "initial"))["levo-tiny-tokenizer"] != before


def test_songs_name_the_models_whose_digests_they_hold(finished_run: "FinishedRun") -> None:
    assert used(lineage_of(finished_run, "sample")) == ["levo-tiny-base"]
    assert used(lineage_of(finished_run, "control")) == ["levo-tiny-codec"]
    assert used(lineage_of(finished_run, "search-sample")) == ["levo-tiny-base", "levo-tiny-mixture"]
    assert used(lineage_of(finished_run, "report-sample")) == [
        f"levo-tiny-{model}" for model in REPORTED if model != "control"
    ]


def test_of_models_with_one_digest_the_set_names_its_own(finished_run: "FinishedRun") -> None:
    # As in a run so small that all preferences train on the same pairs.
    results, digest_of = finished_run.results, finished_run.digest_of
    results["align"] = {"phases": [{"name": name, "digest": digest_of("lyric")} for name in ("prompt", "lyric")]}
    results["choose"]["digest"] = digest_of("lyric")
    results["report-sample"]["sets"] = ["report-lyric"]
    assert used(lineage_of(finished_run, "report-sample")) == ["levo-tiny-lyric"]


def test_songs_of_a_stranger_are_an_error(finished_run: "FinishedRun") -> None:
    finished_run.results["train"]["digest"] = finished_run.digest_of("another base")
    with pytest.raises(LookupError, match=r"songs of pair-base come from a model of digest \w{64}; no step"):
        lineage_of(finished_run, "sample")


def test_held_out_judges_are_used_where_their_metrics_are(finished_run: "FinishedRun") -> None:
    training = ["codec", "recogniser", "tagger", "similarity-judge", "musicality-judge"]
    assert used(lineage_of(finished_run, "score")) == [f"levo-tiny-{name}" for name in training]
    held_out = [*training, "tag-agreement-judge", "defects-judge"]
    assert used(lineage_of(finished_run, "report-score")) == [f"levo-tiny-{name}" for name in held_out]


def test_the_ablation_of_the_stages_names_the_models_that_it_trained(finished_run: "FinishedRun") -> None:
    digests = {name: finished_run.digest_of(name) for name in ("without-stage-2", "without-ar-decoder")}
    results = finished_run.results | {"stages-train": {"models": digests, "phases": []}}
    trained = step_lineage("stages-train", finished_run.context, results)
    assert made(trained) == {f"levo-tiny-{name}": digest for name, digest in digests.items()}
    assert datasets(trained, TRAINING) == datasets(lineage_of(finished_run, "train"), TRAINING)


def test_a_step_of_another_program_has_no_lineage_but_its_songs_have(finished_run: "FinishedRun") -> None:
    results = finished_run.results | {"gate": {"num_songs": 3}, "trial-sample": {"sets": ["search-base"]}}
    assert step_lineage("gate", finished_run.context, results) == StepLineage()
    trial = step_lineage("trial-sample", finished_run.context, results)
    assert datasets(trial, OUTPUT) == {"candidates/search-base": 2}


def test_a_phase_tells_its_data_its_options_and_its_checkpoint(finished_run: "FinishedRun") -> None:
    extend = TrainingPhase(finished_run.context, "train", "extend")
    plan = finished_run.context.config.training.phases[-1]
    assert extend.parameters()["learning_rate"] == plan.learning_rate
    assert extend.parameters()["seed"] == 3
    assert [data.name for data in extend.data()] == [f"examples/{plan.examples_name}"]
    result = extend.result()
    assert result is not None
    assert result.tags() == {
        "checkpoint_uri": (finished_run.context.places.training / "base" / "extend" / "model").as_uri(),
        "checkpoint_sha256": finished_run.digest_of("extend"),
        "mixed_logits_identical": "True",
    }
    mixed = TrainingPhase(finished_run.context, "align", "mixed")
    alignment = finished_run.context.config.alignment
    assert mixed.parameters()["learning_rate"] == alignment.mixed_learning_rate
    assert mixed.parameters()["epochs"] == alignment.mixed_epochs
    assert [data.name for data in mixed.data()] == ["pairs/mixed"]
    assert TrainingPhase(finished_run.context, "train", "unborn").result() is None
