"""The rows of a running batch: what each is asked for, which column it stands at, and what it has drawn."""

from dataclasses import dataclass, fields

import torch
from jaxtyping import Bool, Float32, Float64, Int64
from torch import Tensor

from levo.model.config import LeLMConfig
from levo.model.sampling.request import EndRule, SamplingRequest

_NEVER = 2**40


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """One entry a row. A guided song has two rows, its own and a null row; `song_rows` gives the first of both."""

    sequence: Int64[Tensor, "row stream position"]
    column: Int64[Tensor, " row"]
    prefix_lengths: Int64[Tensor, " row"]
    song_rows: Int64[Tensor, " row"]
    null_rows: Int64[Tensor, " row"]
    seeds: Int64[Tensor, " row"]
    max_frames: Int64[Tensor, " row"]
    min_frames: Int64[Tensor, " row"]
    end_frames: Int64[Tensor, "row stream"]
    ends_by_mixed: Bool[Tensor, " row"]
    temperature: Float64[Tensor, " row"]
    top_k: Int64[Tensor, " row"]
    top_p: Float64[Tensor, " row"]
    samples_tracks: Bool[Tensor, " row"]
    guidance: Float32[Tensor, " row"]
    repetition_window: Int64[Tensor, " row"]
    repetition_penalty: Float32[Tensor, " row"]
    banned: Bool[Tensor, "row class"]


def empty_rows(num_rows: int, num_positions: int, config: LeLMConfig, device: torch.device) -> Rows:
    """Rows that hold no song: they run along, and nobody reads them."""
    zeros = torch.zeros(num_rows, dtype=torch.int64)
    rows = Rows(
        sequence=torch.full((num_rows, len(config.delays), num_positions), config.special_id),
        column=zeros.clone(),
        prefix_lengths=zeros.clone(),
        song_rows=torch.arange(num_rows),
        null_rows=torch.arange(num_rows),
        seeds=zeros.clone(),
        max_frames=zeros.clone(),
        min_frames=zeros.clone(),
        end_frames=torch.full((num_rows, len(config.delays)), _NEVER),
        ends_by_mixed=torch.ones(num_rows, dtype=torch.bool),
        temperature=torch.ones(num_rows, dtype=torch.float64),
        top_k=zeros.clone(),
        top_p=torch.ones(num_rows, dtype=torch.float64),
        samples_tracks=torch.zeros(num_rows, dtype=torch.bool),
        guidance=torch.ones(num_rows),
        repetition_window=zeros.clone(),
        repetition_penalty=torch.ones(num_rows),
        banned=torch.zeros((num_rows, config.num_classes), dtype=torch.bool),
    )
    return Rows(**{field.name: getattr(rows, field.name).to(device) for field in fields(rows)})


def clear_row(rows: Rows, row: int, config: LeLMConfig) -> None:
    """Make a row empty again, so that nothing of the song that left it acts on its neighbours' cost."""
    blank = empty_rows(1, rows.sequence.shape[2], config, rows.column.device)
    for field in fields(rows):
        getattr(rows, field.name)[row] = getattr(blank, field.name)[0]
    rows.song_rows[row] = rows.null_rows[row] = row


def start_song(
    rows: Rows,
    row: int,
    null_row: int,
    request: SamplingRequest,
    prompt: Int64[Tensor, "stream frame"],
    config: LeLMConfig,
) -> None:
    """Put a request into its row and, where it is guided, its null row; the prefix lengths are set by the prefill."""
    parameters = request.parameters
    for place in {row, null_row}:
        clear_row(rows, place, config)
        rows.song_rows[place] = row
        rows.max_frames[place] = request.max_frames
    rows.null_rows[row] = null_row
    rows.seeds[row] = request.seed
    rows.min_frames[row] = parameters.min_frames
    rows.ends_by_mixed[row] = parameters.end_rule is EndRule.MIXED
    rows.temperature[row] = parameters.temperature or 1.0
    rows.top_k[row] = parameters.top_k if parameters.temperature else 1
    rows.top_p[row] = parameters.top_p or 1.0
    rows.samples_tracks[row] = parameters.sample_tracks
    rows.guidance[row] = parameters.guidance
    rows.repetition_window[row] = parameters.repetition_window
    rows.repetition_penalty[row] = parameters.repetition_penalty
    if parameters.ban_prompt_codes:
        codes = prompt[0]
        rows.banned[row, codes[codes < config.code_size]] = True
