"""A running batch of songs of one length class: a fixed number of rows over one preallocated cache.

Every forward has the lane's own shape, however many rows are taken, because matrix kernels round differently at
different batch sizes; so a song depends on its request and its lane, never on its neighbours.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from levo.model.conditions import ConditionTokens, concatenate_conditions, null_condition_tokens
from levo.model.delay import revert
from levo.model.lelm import LeLMCaches
from levo.model.sampling.choice import Limits, drawn, guided, penalised, probabilities
from levo.model.sampling.length_class import LengthClass, checked_room, num_columns, row_caches
from levo.model.sampling.noise import uniform
from levo.model.sampling.placement import Placement
from levo.model.sampling.recorded import Capture, RecordedSteps
from levo.model.sampling.request import SampledSong, SamplingRequest
from levo.model.sampling.rows import Rows, clear_row, empty_rows, start_song
from levo.model.store import LoadedModel
from levo.song.tokens import TokenGrid


@dataclass(frozen=True, slots=True, eq=False)
class EncodedRequest:
    """A request and its condition rows: its own, and the null row where it is guided; `prefixes` names each row's."""

    request: SamplingRequest
    tokens: ConditionTokens
    prefix_lengths: tuple[int, ...]
    prefixes: tuple[str, ...]

    @property
    def num_rows(self) -> int:
        """Rows that the song takes."""
        return self.tokens.num_rows

    @property
    def prefix_length(self) -> int:
        """Positions of the longest prefix."""
        return max(self.prefix_lengths)


@dataclass(slots=True, eq=False)
class _RunningSong:
    encoded: EncodedRequest
    rows: tuple[int, ...]
    num_columns: int = 0


_STEPS_PER_LOOK = {"cuda": 16}


class LogitsError(ValueError):
    """A model's logits are infinite or no numbers, so that nothing can be drawn from them."""


class Lane:
    """The batch of one length class, on one model."""

    def __init__(
        self,
        loaded: LoadedModel,
        length_class: LengthClass,
        steps_per_look: int | None = None,
        capture: Capture | None = None,
    ) -> None:
        """Allocate rows and caches. What is finished is looked for every `steps_per_look` steps: on a GPU a look makes
        the host wait, and a song that runs on for a few columns takes no harm. With a `capture` steps are recorded.
        """
        self.loaded = loaded
        self.length_class = length_class
        config = loaded.model.config
        self._device = loaded.model.device
        self._steps_per_look = _STEPS_PER_LOOK.get(self._device.type, 1) if steps_per_look is None else steps_per_look
        columns = num_columns(config, length_class, self._steps_per_look)
        self._last_position = checked_room(config, length_class) - 1
        num_rows = length_class.num_rows
        self._rows: Rows = empty_rows(num_rows, columns, config, self._device)
        self._caches = [
            row_caches(loaded.model, length_class, num_layers, columns)
            for num_layers in (config.num_layers, config.num_decoder_layers)
        ]
        self.placement = Placement(num_rows, length_class.rows_per_slot)
        self._songs: dict[int, _RunningSong] = {}
        self._limits = Limits()
        self._recorded = None if capture is None else RecordedSteps(capture)
        self._steps_to_look = self._steps_per_look
        self._is_sound = torch.ones(num_rows, dtype=torch.bool, device=self._device)
        self._delays = torch.tensor(config.delays, device=self._device)
        self._streams = torch.arange(len(config.delays), device=self._device)
        self._all_rows = torch.arange(num_rows, device=self._device)

    @property
    def num_songs(self) -> int:
        """Songs that are running."""
        return len(self._songs)

    @torch.inference_mode()
    def admit(self, joining: Sequence[EncodedRequest]) -> None:
        """Let songs join; together they need at most the free rows, and `prefill_rows` different prefixes.

        A prefix is computed once for all rows that begin with it: candidates of one prompt, and the null rows.
        """
        missing: dict[str, int] = {}
        places: list[int] = []
        for encoded in joining:
            held = [self.placement.holds(prefix) for prefix in encoded.prefixes]
            rows = self.placement.take(encoded.prefixes)
            if rows is None:
                raise ValueError(f"no room for {encoded.request.request_id} among {self.placement.num_free} free rows")
            start_song(
                self._rows, rows[0], rows[-1], encoded.request, encoded.tokens.prompt_codes[0], self.loaded.model.config
            )
            self._songs[rows[0]] = _RunningSong(encoded, rows)
            places.extend(rows)
            missing |= {
                prefix: row
                for row, prefix, is_held in zip(rows, encoded.prefixes, held, strict=True)
                if not is_held and prefix not in missing
            }
        self._limits = self._limits_of_songs()
        self._prefill(joining, places, missing)

    def _prefill(self, joining: Sequence[EncodedRequest], places: Sequence[int], missing: dict[str, int]) -> None:
        """Compute the prefixes that no slot has yet, padded to the lane's own number of them, for all rows at `places`.

        `missing` gives a row for each of them, the first that begins with it.
        """
        names = [name for encoded in joining for name in encoded.prefixes]
        self._rows.prefix_lengths[torch.tensor(places, device=self._device)] = torch.tensor(
            [length for encoded in joining for length in encoded.prefix_lengths], device=self._device
        )
        if not missing:
            return
        tokens = concatenate_conditions([encoded.tokens for encoded in joining])
        tokens = tokens.select(torch.tensor([names.index(name) for name in missing]))
        unused = self.length_class.prefill_rows - len(missing)
        if unused:
            tokens = concatenate_conditions([tokens, null_condition_tokens(unused, self.loaded.model.config)])
        if self.length_class.rows_per_prefix is None:
            pairs = [(row, list(missing).index(name)) for row, name in zip(places, names, strict=True)]
        else:
            pairs = [(row, source) for source, row in enumerate(missing.values())]
        place, source = torch.tensor(pairs, device=self._device).T
        writers = LeLMCaches(*(cache.prefill(place, source) for cache in self._caches))
        self.loaded.model.prefill(tokens.to(self._device), self.length_class.max_prefix, writers)

    @torch.inference_mode()
    def step(self) -> list[SampledSong]:
        """Draw the next column of every song; returns those that are finished.

        Raises `LogitsError` where the model's logits are no numbers.
        """
        longest = max((song.num_columns for song in self._songs.values()), default=0)
        if self._recorded is None:
            self._advance(longest)
        else:
            extents = tuple(cache.extent(longest) for cache in self._caches)
            self._recorded.run((self._limits, extents), partial(self._advance, longest))
        for song in self._songs.values():
            song.num_columns += 1
        self._steps_to_look -= 1
        if self._steps_to_look:
            return []
        self._steps_to_look = self._steps_per_look
        self._check_logits()
        finished = self._is_finished().tolist()
        return [self._leave(row) for row in list(self._songs) if finished[row]]

    def _advance(self, longest: int) -> None:
        """A step's work on the device, which waits for nothing and whose addresses and operations are always the same,
        but for the limits and what of the caches is reached."""
        rows, all_rows = self._rows, self._all_rows
        writers = LeLMCaches(*(cache.step(rows.prefix_lengths, rows.column, longest) for cache in self._caches))
        # Songs that run on after their end may pass the last position; nobody reads what they draw there.
        positions = (self.loaded.model.config.prefix_length + rows.column).clamp(max=self._last_position)
        logits = self.loaded.model.step(rows.sequence[all_rows, :, rows.column], positions, writers)
        self._is_sound.logical_and_(torch.isfinite(logits.sum(dim=(1, 2))))
        codes = self._choose(logits)[rows.song_rows]
        rows.column.add_(self._is_running())
        rows.sequence[all_rows, :, rows.column] = codes

    def cancel(self, request_id: str) -> SampledSong | None:
        """Take a running song out, with the frames that all of its streams have reached."""
        for row, song in self._songs.items():
            if song.encoded.request.request_id == request_id:
                return self._leave(row, interrupted=True)
        return None

    def _limits_of_songs(self) -> Limits:
        asked = [song.encoded.request.parameters for song in self._songs.values()]
        top_k = {one.top_k if one.temperature else 1 for one in asked} - {0}
        return Limits(
            top_k=max(top_k, default=0),
            has_one_top_k=len(top_k) == 1,
            uses_top_p=any(0 < one.top_p < 1 for one in asked),
            window=max((one.repetition_window for one in asked), default=0),
            samples_tracks=any(one.sample_tracks for one in asked),
        )

    def _check_logits(self) -> None:
        is_sound = self._is_sound.tolist()
        broken = [song.encoded.request.request_id for row, song in self._songs.items() if not is_sound[row]]
        if broken:
            raise LogitsError(
                f"the logits of {broken[0]} and {len(broken) - 1} other songs are not finite; "
                f"the weights {self.loaded.digest} cannot be sampled from in {self.loaded.model.dtype}"
            )

    def _is_running(self) -> Int64[Tensor, " row"]:
        return (self._rows.max_frames > 0).long()

    def _choose(self, logits: Float[Tensor, "row stream class"]) -> Int64[Tensor, "row stream"]:
        """The column behind each row's current one; positions without a code are special."""
        rows, config = self._rows, self.loaded.model.config
        frames = rows.column[:, None] - self._delays
        logits = self._restricted(guided(logits, rows.null_rows, rows.guidance), frames)
        codes = logits.argmax(dim=2)
        num_drawn = len(self._delays) if self._limits.samples_tracks else 1
        noise = uniform(rows.seeds[:, None], frames[:, :num_drawn], self._streams[:num_drawn])
        samples = drawn(
            probabilities(logits[:, :num_drawn], rows.temperature, rows.top_k, rows.top_p, self._limits), noise
        )
        codes[:, 0] = samples[:, 0]
        if num_drawn > 1:
            codes[:, 1:] = torch.where(rows.samples_tracks[:, None], samples[:, 1:], codes[:, 1:])
        empty = (frames < 0) | (frames >= rows.max_frames[:, None]) | (frames > rows.end_frames)
        codes.masked_fill_(empty, config.special_id)
        ends = codes == config.end_id
        rows.end_frames.copy_(torch.where(ends, frames, rows.end_frames))
        return codes

    def _restricted(
        self, logits: Float[Tensor, "row stream class"], frames: Int64[Tensor, "row stream"]
    ) -> Float[Tensor, "row stream class"]:
        """Repetition penalty, the ban on the prompt's codes, and no end of song where none may come."""
        rows, config = self._rows, self.loaded.model.config
        if self._limits.window:
            back = torch.arange(self._limits.window, device=self._device)
            recent = rows.column[:, None] - back
            outside = (recent < 0) | (back >= rows.repetition_window[:, None])
            recent_codes = rows.sequence.gather(2, recent.clamp(min=0)[:, None].expand(-1, len(self._delays), -1))
            recent_codes = recent_codes.masked_fill(outside[:, None], config.special_id)
            logits = penalised(logits, recent_codes, rows.repetition_penalty, config.code_size)
        no_end = frames < rows.min_frames[:, None]
        no_end[:, 1:] |= rows.ends_by_mixed[:, None]
        logits[:, :, config.end_id].masked_fill_(no_end, -torch.inf)
        logits[:, 0].masked_fill_(rows.banned, -torch.inf)
        return logits

    def _is_finished(self) -> Tensor:
        rows = self._rows
        last_frame = torch.minimum(rows.end_frames[:, 0], rows.max_frames)
        by_mixed = rows.column >= self._delays.max() + last_frame
        by_all = (rows.column >= self._delays.max() + rows.max_frames) | (
            rows.end_frames < rows.max_frames[:, None]
        ).all(dim=1)
        return torch.where(rows.ends_by_mixed, by_mixed, by_all)

    def _leave(self, row: int, *, interrupted: bool = False) -> SampledSong:
        song = self._songs.pop(row)
        request, rows, config = song.encoded.request, self._rows, self.loaded.model.config
        num_frames = min(request.max_frames, max(0, int(rows.column[row]) - config.max_delay))
        end_frames = rows.end_frames[row, :1] if bool(rows.ends_by_mixed[row]) else rows.end_frames[row]
        end_frame = int(end_frames.min())
        codes = revert(rows.sequence[row : row + 1], config.delays)[0, :, : min(num_frames, end_frame)]
        tokens = TokenGrid(np.ascontiguousarray(codes.cpu().numpy().astype(np.int32)))
        for place in song.rows:
            clear_row(rows, place, config)
        self.placement.free(song.rows)
        self._limits = self._limits_of_songs()
        return SampledSong(
            request.request_id, request.seed, tokens, end_frame <= num_frames, self.loaded.digest, interrupted
        )
