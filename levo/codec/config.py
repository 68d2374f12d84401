"""The embedded codec's options: rates, the size that codes stay below, and each stream's own."""

from dataclasses import dataclass, field

from levo.codec.accompaniment_stream import AccompanimentStreamConfig
from levo.codec.mixed_stream import MixedStreamConfig
from levo.codec.vocal_stream import VocalStreamConfig
from levo.song.tokens import FRAME_RATE_HZ


@dataclass(frozen=True, slots=True)
class EmbeddedCodecConfig:
    """Options; a stream's `num_codes` counts its silence and is at most `code_size`."""

    sample_rate_hz: int = 16000
    frame_rate_hz: int = FRAME_RATE_HZ
    code_size: int = 512
    vocal: VocalStreamConfig = field(default_factory=VocalStreamConfig)
    accompaniment: AccompanimentStreamConfig = field(default_factory=AccompanimentStreamConfig)
    mixed: MixedStreamConfig = field(default_factory=MixedStreamConfig)

    def __post_init__(self) -> None:
        if self.sample_rate_hz % self.frame_rate_hz:
            raise ValueError(f"{self.sample_rate_hz} Hz is no whole number of samples at {self.frame_rate_hz} frames/s")
        sizes = (self.mixed.num_codes, self.vocal.num_codes, self.accompaniment.num_codes)
        if max(sizes) > self.code_size or min(sizes) < 2:
            raise ValueError(f"streams have {sizes} codes; expected 2 ... {self.code_size} in each")

    @property
    def frame_length(self) -> int:
        """Samples in a frame."""
        return self.sample_rate_hz // self.frame_rate_hz
