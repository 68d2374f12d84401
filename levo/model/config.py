"""What sizes and vocabularies a LeLM has: one record for the demo's model and for the released ones."""

from dataclasses import dataclass, replace
from typing import Literal

from levo.song.tokens import NUM_STREAMS

PrefixPadding = Literal["attended", "masked"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TextVocabulary:
    """Sizes and ids of a tokenizer folder's two vocabularies, the lyrics' and the description's."""

    lyrics_size: int
    description_size: int
    padding_id: int
    start_id: int
    first_structure_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LeLMConfig:
    """Sizes, token ids and lengths of one LeLM.

    `num_decoder_layers` 0 leaves vocal and accompaniment to heads on the language model's bridged states alone.
    `prefix_padding` says what becomes of unused condition positions: the released models attend to their zero vectors
    ("attended": the prefix always has its full length), new models leave them out ("masked"), every other position
    keeping its number. `musicality_tags` is
    the second release's text: musicality tags in descriptions, and full stops that are tokens of their own.
    """

    width: int
    num_heads: int
    feed_forward_width: int
    num_layers: int
    num_decoder_layers: int
    code_size: int
    delays: tuple[int, int, int]
    max_positions: int
    max_decoder_positions: int
    rope_base: float
    decoder_rope_base: float
    lyrics_vocabulary_size: int
    description_vocabulary_size: int
    text_padding_id: int
    text_start_id: int
    first_structure_id: int
    max_lyrics_tokens: int
    max_prompt_frames: int
    max_description_tokens: int
    musicality_tags: bool = True
    prefix_padding: PrefixPadding = "masked"

    def __post_init__(self) -> None:
        object.__setattr__(self, "delays", tuple(self.delays))
        if self.width % self.num_heads or (self.width // self.num_heads) % 2:
            raise ValueError(f"width {self.width} over {self.num_heads} heads; expected heads of an even, whole width")
        if len(self.delays) != NUM_STREAMS or self.delays[0] != 0 or min(self.delays) < 0:
            raise ValueError(f"delays {self.delays}; expected {NUM_STREAMS} numbers from 0, the mixed stream's being 0")
        if self.prefix_padding not in ("attended", "masked"):
            raise ValueError(f"prefix_padding {self.prefix_padding!r}; expected 'attended' or 'masked'")
        shortest = min(self.max_positions, self.max_decoder_positions)
        if shortest <= self.prefix_length + self.max_delay:
            raise ValueError(f"{shortest} positions; the prefix of {self.prefix_length} leaves no room for a song")

    @property
    def head_width(self) -> int:
        """Width of one attention head."""
        return self.width // self.num_heads

    @property
    def end_id(self) -> int:
        """The end-of-song code; also the first code of an audio prompt."""
        return self.code_size

    @property
    def special_id(self) -> int:
        """The code of a position that holds none; never predicted."""
        return self.code_size + 1

    @property
    def num_classes(self) -> int:
        """Classes that each stream's logits are over: the codes and the end of song."""
        return self.code_size + 1

    @property
    def max_delay(self) -> int:
        """Frames by which the latest stream lags the mixed one."""
        return max(self.delays)

    @property
    def prompt_positions(self) -> int:
        """Prefix positions of the audio prompt: a learned vector, the end-of-song code, the frames."""
        return self.max_prompt_frames + 2

    @property
    def prefix_length(self) -> int:
        """Condition positions before the codes, when none is left out."""
        return self.max_lyrics_tokens + self.prompt_positions + self.max_description_tokens

    @property
    def shares_prefixes(self) -> bool:
        """Whether all prefixes have one length, so that several songs can stand behind one in a forward pass."""
        return self.prefix_padding == "attended"

    @property
    def max_frames(self) -> int:
        """The longest song that the position tables hold, with the longest prefix."""
        shortest = min(self.max_positions, self.max_decoder_positions)
        return shortest - self.prefix_length - self.max_delay - 1


def demo_config(vocabulary: TextVocabulary) -> LeLMConfig:
    """The embedded world's model, about 1.5 M parameters, for a corpus' own tokenizer."""
    return LeLMConfig(
        width=128,
        num_heads=4,
        feed_forward_width=384,
        num_layers=4,
        num_decoder_layers=2,
        code_size=512,
        delays=(0, 2, 2),
        max_positions=1280,
        max_decoder_positions=1280,
        rope_base=1e4,
        decoder_rope_base=1e4,
        lyrics_vocabulary_size=vocabulary.lyrics_size,
        description_vocabulary_size=vocabulary.description_size,
        text_padding_id=vocabulary.padding_id,
        text_start_id=vocabulary.start_id,
        first_structure_id=vocabulary.first_structure_id,
        max_lyrics_tokens=160,
        max_prompt_frames=50,
        max_description_tokens=32,
    )


def base_config() -> LeLMConfig:
    """The released v1 base model (2.8 B parameters): songs of 150 s."""
    return replace(
        medium_config(),
        max_positions=8196,
        rope_base=1e5,
        description_vocabulary_size=151646,
        max_lyrics_tokens=300,
        max_description_tokens=50,
        musicality_tags=False,
    )


def medium_config() -> LeLMConfig:
    """The released v2-medium model (2.8 B parameters): songs of 270 s."""
    return LeLMConfig(
        width=1536,
        num_heads=12,
        feed_forward_width=8960,
        num_layers=28,
        num_decoder_layers=12,
        code_size=16384,
        delays=(0, 250, 250),
        max_positions=10000,
        max_decoder_positions=10000,
        rope_base=5e5,
        decoder_rope_base=5e5,
        lyrics_vocabulary_size=151659,
        description_vocabulary_size=151652,
        text_padding_id=151643,
        text_start_id=151644,
        first_structure_id=151646,
        max_lyrics_tokens=600,
        max_prompt_frames=250,
        max_description_tokens=100,
        prefix_padding="attended",
    )


def large_config() -> LeLMConfig:
    """The released v2-large model (5.1 B parameters): songs of 270 s."""
    return replace(medium_config(), width=2048, num_heads=16, feed_forward_width=11008, num_layers=36)
