"""`levo bench NAME`: measured comparisons whose tables go into the docs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro


@dataclass(frozen=True, slots=True)
class BenchOptions:
    """Run a benchmark; interrupted, it goes on where it was.

    `alignment` runs the loop once a seed, with two rivals at equal compute: the base on a corpus gated by its own label
    quality, and fine-tuning on the best of the same candidates. `raters` tries the pairing rule on people's ratings.
    `sampling` compares the sampler with the published loop's operations, `training` a step of the language model's
    tower with transformers' Llama, `dpo` a preference step with TRL's (pip install levo[bench]), `merge` measures the
    merger of three models; all take minutes, and tell ratios of one machine. `gpu` tells how near to a CUDA device's
    limits sampling and stage 1 come at full size. `faults` prepares a small rendered corpus again and again and kills a
    worker, a node or the whole program each time. `serving` kills replicas and swaps models while songs are asked for.
    `corpus` holds the corpus flow to a process pool over the same stages, to its own rerun, and its memory to that for
    a tenth of the songs. `refresh` tries the nights of a line of champions (`--trial`).
    """

    name: Annotated[
        Literal[
            "alignment",
            "raters",
            "sampling",
            "training",
            "dpo",
            "merge",
            "gpu",
            "faults",
            "serving",
            "corpus",
            "refresh",
        ],
        tyro.conf.Positional,
    ]
    """Which benchmark."""
    seeds: str = "0,1,2"
    """Seeds, with commas between them; each changes corpus, initialisation, order, sampling and prompts; `refresh`
    takes the first, for kills and for a line's prompts and songs."""
    recipe: str = "demo"
    """The recipe of every run."""
    out: Path = Path("out/bench")
    """Folder of the runs and of the tables."""
    tracking_uri: str | None = None
    """For `alignment`: an MLflow server; without one each run keeps a store of its own, and `none` keeps JSON lines."""
    ratings: Path | None = None
    """For `raters`: JSON lines, each with a list of ratings by axis."""
    models: Path = Path("out/demo/models")
    """For `faults` and `corpus`: the models folder of a finished `levo demo`, of any recipe."""
    runs: int | None = None
    """For `faults`: how many kills, 20 unless told; for `serving`: how many kills and swaps, 24 unless told; for
    `corpus`: how many rounds, 3 unless told; for `refresh` as each trial has it."""
    songs: int | None = None
    """How many songs of 6 s: for `faults` 12 unless told, for `corpus` 1,000."""
    trial: Literal["kills", "first-kill", "gate", "nights", "overlap", "carry"] = "kills"
    """For `refresh`: nights that are killed, a first night that is (for large recipes), the gate on candidates of known
    worth, nights in a row, sampling and scoring beside training, and log-probabilities that are carried over."""
    run: Path = Path("out/demo")
    """For `refresh`: a run of `--recipe`, trained at least."""
    on_ray: bool = False
    """For `refresh`, kills, the gate and nights: work on a Ray of their own instead of in their process."""
    json: bool = False
    """Print JSON in place of the table."""


def main(arguments: Sequence[str]) -> int:
    """Read the options, run, and print what was measured."""
    options = tyro.cli(BenchOptions, args=list(arguments), prog="levo bench")
    if options.name == "raters":
        from jobs.bench_raters import bench_raters

        if options.ratings is None:
            raise ValueError("--ratings is missing; expected a file of JSON lines with a list of ratings by axis")
        print(bench_raters(options.ratings, as_json=options.json))
        return 0
    if options.name == "faults":
        from jobs.bench_faults import bench_faults

        print(bench_faults(options.models, _or(options.runs, 20), _or(options.songs, 12), as_json=options.json))
        return 0
    if options.name == "serving":
        from jobs.bench_serving import bench_serving

        print(bench_serving(_or(options.runs, 24), _seeds(options.seeds)[0], as_json=options.json))
        return 0
    if options.name == "refresh":
        from jobs.bench_refresh import RefreshTrial, bench_refresh

        folder = options.out / "refresh" / f"{options.recipe}-{options.trial}"
        seed = _seeds(options.seeds)[0]
        asked = RefreshTrial(options.trial, options.run, options.recipe, folder, options.runs, seed, options.on_ray)
        print(bench_refresh(asked, as_json=options.json))
        return 0
    if options.name == "corpus":
        from jobs.bench_corpus import bench_corpus

        print(bench_corpus(options.models, _or(options.songs, 1000), _or(options.runs, 3), as_json=options.json))
        return 0
    if options.name in ("sampling", "training", "dpo", "merge", "gpu"):
        from jobs.bench_speed import bench_speed

        print(bench_speed(options.name, as_json=options.json))
        return 0
    seeds = _seeds(options.seeds)

    from jobs.bench_alignment import bench_alignment

    print(bench_alignment(options, seeds))
    return 0


def _or(told: int | None, usual: int) -> int:
    return usual if told is None else told


def _seeds(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise ValueError(f"--seeds is {text!r}; expected whole numbers such as 0,1,2") from None
