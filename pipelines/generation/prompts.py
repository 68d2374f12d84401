"""The audio prompt of an order: a recording, codes, or a passage of the release's library."""

from dataclasses import dataclass
from pathlib import Path

from annotation.separation.protocol import Separator
from levo.codec.intake import mono_at_rate
from levo.codec.protocol import Codec
from levo.release.codes import AutoPrompts, read_codes
from levo.song.tokens import TokenGrid
from levo.song.waveform import mono_waveform
from pipelines.corpus.decode import AudioLimits, decode_audio
from pipelines.generation.order_file import SongOrder


class PromptError(ValueError):
    """A prompt that cannot be had; the message names the field and what is needed."""


@dataclass(frozen=True, slots=True, eq=False)
class PromptSource:
    """What prompts are made with; paths in orders are relative to `folder`, that of their file."""

    code_size: int
    max_prompt_frames: int
    folder: Path
    codec: Codec | None
    separator: Separator | None
    library: AutoPrompts | None

    def prompt_of(self, order: SongOrder, seed: int) -> TokenGrid | None:
        """The codes of an order's prompt, cut to what the model takes, or None where it gives none."""
        codes = self._codes(order, seed)
        return None if codes is None else codes.window(0, self.max_prompt_frames)

    def _codes(self, order: SongOrder, seed: int) -> TokenGrid | None:
        if order.prompt_codes_path is not None:
            return read_codes(self.folder / order.prompt_codes_path, self.code_size)
        if order.auto_prompt_audio_type is not None:
            if self.library is None:
                raise PromptError("auto_prompt_audio_type needs the release's prompt library; name it (--auto-prompts)")
            return self.library.draw(order.auto_prompt_audio_type, order.lyrics, seed)
        if order.prompt_audio_path is None:
            return None
        if self.codec is None or self.separator is None:
            raise PromptError("prompt_audio_path needs the codec of the model's tokens; give prompt_codes_path instead")
        heard = decode_audio((self.folder / order.prompt_audio_path).read_bytes(), AudioLimits())
        rate_hz = self.codec.sample_rate_hz
        return self.codec.encode(self.separator.separate(mono_waveform(mono_at_rate(heard, rate_hz), rate_hz)))
