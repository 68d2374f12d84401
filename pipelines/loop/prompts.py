"""The prompts of a run: lyrics and style that no corpus song has, with two seconds of a song of the same style."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from jaxtyping import Int32

from levo.codec.protocol import Codec
from levo.codec.stems import stems_of
from levo.song.arrays import Array
from levo.song.prompt import PromptSet, SongPrompt, prompt_set_of
from levo.song.schema import records_of, table_of
from levo.song.tokens import TokenGrid
from levo.song.waveform import Waveform
from pipelines.flow.snapshot import SnapshotStore
from pipelines.flow.stage import NOT_IDENTITY
from pipelines.loop.config import PromptsConfig
from pipelines.loop.records import PromptRow
from pipelines.rendered.draw import draw_plans, plan_companion
from pipelines.rendered.plan import SongPlan, plan_song
from pipelines.rendered.song import render_song
from pipelines.rendered.voice import Voice
from pipelines.rendered.world import WorldConfig

_FRAMES_OF_GRACE = 24
_ENCODED_TOGETHER = 32
_PLANS_PER_DRAW = 256


@dataclass(frozen=True, slots=True, eq=False)
class RunPrompt:
    """A prompt, the set it belongs to, and the plan that it was taken from (rendered only for the control)."""

    prompt: SongPrompt
    prompt_set: PromptSet
    plan: SongPlan
    is_long: bool


def draw_prompts(
    config: PromptsConfig,
    seed: int,
    voice: Voice,
    codec: Codec,
    progress: Callable[[int, int], None],
) -> tuple[RunPrompt, ...]:
    """Draw plans until every set has its number, each plan's set being decided by its id's hash alone.

    The audio prompt is cut from a companion: another song of the same singer and style, with words of its own.
    """
    wanted = {
        PromptSet.PAIR: config.num_pair,
        PromptSet.SEARCH: config.num_search,
        PromptSet.REPORT: config.num_report,
    }
    request = PromptRequest("prompt", wanted, {PromptSet.REPORT: config.num_long_report}, config.audio_prompt_frames)
    return draw_prompt_sets(request, seed, voice, codec, progress)


@dataclass(frozen=True, slots=True)
class PromptRequest:
    """How many short and long prompts each set gets; those of one `namespace` share no song with another's."""

    namespace: str
    short: Mapping[PromptSet, int]
    long: Mapping[PromptSet, int]
    audio_prompt_frames: int


def draw_prompt_sets(
    request: PromptRequest, seed: int, voice: Voice, codec: Codec, progress: Callable[[int, int], None]
) -> tuple[RunPrompt, ...]:
    """As `draw_prompts`, for any sets."""
    namespace = request.namespace
    chosen = [(plan, name, False) for plan, name in _fill(request.short, namespace, seed, voice, long=False)]
    chosen += [(plan, name, True) for plan, name in _fill(request.long, f"{namespace}-long", seed, voice, long=True)]
    prompts: list[RunPrompt] = []
    for start in range(0, len(chosen), _ENCODED_TOGETHER):
        block = chosen[start : start + _ENCODED_TOGETHER]
        companions = [render_song(plan_companion(plan, voice.config), voice) for plan, _, _ in block]
        grids = codec.encode_batch([stems_of(song) for song in companions])
        prompts += [
            _run_prompt(plan, name, is_long, song.song_id, grid, request.audio_prompt_frames)
            for (plan, name, is_long), song, grid in zip(block, companions, grids, strict=True)
        ]
        progress(len(prompts), len(chosen))
    return tuple(prompts)


def plan_of_prompt(prompt_id: str, is_long: bool, seed: int, world: WorldConfig) -> SongPlan:
    """The plan that a prompt was taken from."""
    return plan_song(prompt_id, seed, world, long=is_long)


def _run_prompt(
    plan: SongPlan, name: PromptSet, is_long: bool, companion_id: str, grid: TokenGrid, audio_prompt_frames: int
) -> RunPrompt:
    # The middle of the companion: there both the voice and the band are heard.
    start = max(0, (grid.num_frames - audio_prompt_frames) // 2)
    prompt = SongPrompt(
        prompt_id=plan.song_id,
        lyrics=plan.lyrics,
        description=plan.description,
        audio_prompt=grid.window(start, audio_prompt_frames),
        num_frames=plan.num_frames + _FRAMES_OF_GRACE,
        audio_prompt_id=companion_id,
    )
    return RunPrompt(prompt, name, plan, is_long)


def _fill(
    wanted: Mapping[PromptSet, int], namespace: str, seed: int, voice: Voice, *, long: bool
) -> Sequence[tuple[SongPlan, PromptSet]]:
    shares = {name: float(number) for name, number in wanted.items() if number}
    left = dict(wanted)
    chosen: list[tuple[SongPlan, PromptSet]] = []
    num_drawn = 0
    while any(left[name] for name in shares):
        plans = draw_plans(namespace, num_drawn + _PLANS_PER_DRAW, seed, voice.config, 1.0 if long else 0.0)
        for plan in plans[num_drawn:]:
            name = prompt_set_of(plan.song_id, shares)
            if left[name]:
                left[name] -= 1
                chosen.append((plan, name))
        num_drawn += _PLANS_PER_DRAW
    return chosen


PROMPTS = "prompts"


@dataclass(frozen=True, slots=True)
class PromptSource:
    """Published prompts as a stage carries them: their snapshot's id, and where it lies."""

    snapshot_id: str
    folder: Path = field(metadata=NOT_IDENTITY)

    def rows(self) -> list[PromptRow]:
        """All prompts, in order."""
        return records_of(SnapshotStore(self.folder).open(self.snapshot_id).table(PROMPTS), PromptRow)


def publish_prompts(prompts: Sequence[RunPrompt], folder: Path) -> PromptSource:
    """Store the prompts as a snapshot."""
    rows = [
        PromptRow(
            prompt_id=item.prompt.prompt_id,
            prompt_set=item.prompt_set,
            is_long=item.is_long,
            lyrics=item.prompt.lyrics.text,
            tags=item.prompt.description.tags,
            max_frames=item.prompt.num_frames,
            audio_prompt_id=item.prompt.audio_prompt_id or "",
            audio_prompt=_codes(item.prompt),
        )
        for item in prompts
    ]
    return publish_prompt_rows(rows, folder)


def publish_prompt_rows(rows: Sequence[PromptRow], folder: Path) -> PromptSource:
    """Store prompts that are rows already."""
    snapshot = SnapshotStore(folder).publish({PROMPTS: table_of(rows, PromptRow)}, {})
    return PromptSource(snapshot.manifest.snapshot_id, folder)


def stored_prompts(folder: Path) -> PromptSource:
    """The newest prompts of a folder; raises `FileNotFoundError` where none were drawn yet."""
    snapshot = SnapshotStore(folder).current()
    if snapshot is None:
        raise FileNotFoundError(f"{folder} holds no prompts; draw them first")
    return PromptSource(snapshot.manifest.snapshot_id, folder)


class PromptSounds:
    """The prompts' audio, decoded when it is first asked for."""

    def __init__(self, source: PromptSource, codec: Codec) -> None:
        self._codes = {row.prompt_id: row.audio_prompt for row in source.rows()}
        self._codec = codec
        self._sounds: dict[str, Waveform] = {}

    def of(self, prompt_id: str) -> Waveform | None:
        """A prompt's audio; None where there is no prompt of that name, as for a song of the corpus."""
        if prompt_id not in self._codes:
            return None
        if prompt_id not in self._sounds:
            self._sounds[prompt_id] = self._codec.decode(TokenGrid(self._codes[prompt_id])).mixture
        return self._sounds[prompt_id]


def _codes(prompt: SongPrompt) -> Int32[Array, "stream frame"]:
    if prompt.audio_prompt is None:
        raise ValueError(f"prompt {prompt.prompt_id} has no audio prompt")
    return prompt.audio_prompt.codes
