"""`levo generate`: songs for a file of orders, in the release's fields."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

if TYPE_CHECKING:
    from pipelines.generation.singer import Singer


@dataclass(frozen=True, slots=True)
class GenerateOptions:
    """Draw a song for each line of ORDERS into OUT, which is checked whole before any work begins.

    A line is a JSON object: `idx` (a file name), `gt_lyric`, and if given `descriptions`, `seed`, and one of
    `prompt_audio_path`, `auto_prompt_audio_type`, `prompt_codes_path`. Results are written as songs finish; a line that
    fails loses only itself; run again, what is done is skipped. OUT/results.jsonl tells what came of each line.
    """

    orders: Annotated[Path, tyro.conf.Positional]
    """A JSONL file."""
    out: Annotated[Path, tyro.conf.Positional]
    """The folder of the songs."""
    model: Path = Path("out/demo/lelm/interpolated")
    """A model folder: of a run, or imported from a release."""
    endpoint: str | None = None
    """A service that sings in place of --model, such as http://127.0.0.1:8000 (`levo serve`); --rows orders are under
    way at once, and what is not chosen here is as the service has it. LEVO_SERVE_TOKEN holds the token it may ask for.
    """
    codec: Path | None = None
    """The codec of the model's codes (such as out/demo/models/codec); without it songs are kept as tokens [3, T]."""
    auto_prompts: Path | None = None
    """The release's library of audio prompts."""
    type: Literal["mixed", "vocal", "bgm", "separate"] = "mixed"
    """What is made audible: the song, one stem of it, or the song and both stems."""
    seed: int = 0
    """For lines without a seed of their own; each line's song depends on it and the line's idx alone."""
    device: str = "cpu"
    """Where songs are drawn, such as cuda."""
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    """What weights are kept in, and on a GPU the caches. Narrower ones draw other songs, in less memory."""
    low_memory: bool = False
    """Keep the layers' weights with the host and bring them to the device one by one: the same songs, only slower."""
    cuda_graphs: bool = False
    """Replay each step as one CUDA graph, in place of launching its kernels one by one; needs --device cuda."""
    rows: int = 8
    """Rows of the batch (a guided song takes two); 0 takes as many as the memory holds, up to 32. Songs of batches with
    other numbers of rows may differ, since products round otherwise."""
    max_duration_s: float | None = None
    """The longest song; the longest that the model takes unless told."""
    temperature: float | None = None
    """As released, or 0.8 for a model of ours."""
    top_k: int | None = None
    """As released, or all codes for a model of ours."""
    top_p: float | None = None
    """Draw from the fewest likeliest codes with this share of the probability; all unless told."""
    guidance: float | None = None
    """As released, or none for a model of ours."""


def main(arguments: Sequence[str]) -> int:
    """Read the options, check the orders, draw; the exit code is 1 where an order failed."""
    options = tyro.cli(GenerateOptions, args=list(arguments), prog="levo generate")
    if options.rows < 0:
        raise ValueError(f"--rows is {options.rows}; expected a number of rows, or 0")

    from pipelines.generation.order_file import read_orders

    orders = read_orders(options.orders)

    from annotation.separation.embedded import EmbeddedSeparator
    from jobs.progress import RunProgress
    from levo.codec.embedded import EmbeddedCodec
    from levo.release.codes import read_auto_prompts
    from pipelines.generation.prompts import PromptSource
    from pipelines.generation.results import ResultsFolder, SongParts
    from pipelines.generation.run import GenerationConfig, generate

    singer = _singer(options)
    facts = singer.facts
    codec = None if options.codec is None else EmbeddedCodec.load(options.codec)
    library = None if options.auto_prompts is None else read_auto_prompts(options.auto_prompts, facts.code_size)
    separator = None if codec is None else EmbeddedSeparator()
    prompts = PromptSource(facts.code_size, facts.max_prompt_frames, options.orders.parent, codec, separator, library)
    config = GenerationConfig(SongParts(options.type), options.seed)
    progress = RunProgress(num_steps=1)
    with progress.step("songs") as report:
        outcome = generate(orders, singer, config, prompts, codec, ResultsFolder(options.out), report)
    if codec is None:
        print(f"no --codec: songs are kept as tokens [3, T] in {options.out / 'tokens'}")
    print(f"{outcome.num_drawn} drawn, {outcome.num_skipped} done before, {outcome.num_failed} failed")
    print(f"results  {options.out / 'results.jsonl'}")
    return int(outcome.num_failed > 0)


def _singer(options: GenerateOptions) -> "Singer":
    from pipelines.generation.in_process import InProcessSinger, SingingConfig

    config = SingingConfig(
        options.rows,
        options.max_duration_s,
        options.temperature,
        options.top_k,
        options.top_p,
        options.guidance,
        options.cuda_graphs,
    )
    if options.endpoint is not None:
        from pipelines.generation.endpoint import EndpointSinger
        from pipelines.loop.access import TOKEN_VARIABLE

        return EndpointSinger(options.endpoint, config, token=os.environ.get(TOKEN_VARIABLE))

    import torch

    from levo.model.sampling.memory_plan import chosen_device
    from levo.model.store import load_model
    from levo.model.streaming import stream_layers

    device, dtype = chosen_device(options.device), getattr(torch, options.dtype)
    if options.cuda_graphs and (device.type != "cuda" or options.low_memory):
        raise ValueError(
            f"--cuda-graphs with --device {options.device}{' --low-memory' * options.low_memory}: graphs replay what "
            "stays in place on a CUDA device; leave it out, or take --device cuda without --low-memory"
        )
    loaded = load_model(options.model, device="cpu" if options.low_memory else device, dtype=dtype)
    if options.low_memory:
        loaded = stream_layers(loaded, device)
    return InProcessSinger(options.model, loaded, config)
