"""What one closed loop is made of: every size, rate and limit that a recipe may choose."""

from dataclasses import dataclass, field, fields, replace

from levo.model.conditions import ConditionDropout
from levo.model.config import LeLMConfig
from levo.model.sampling.length_class import LengthClass
from levo.model.sampling.request import SamplingParameters
from levo.song.scores import Axis
from levo.training.phases import PhaseConfig
from levo.training.precision import Precision
from pipelines.rendered.noise import NoiseShares
from pipelines.rendered.world import WorldConfig


@dataclass(frozen=True, slots=True)
class CorpusConfig:
    """The rendered corpus, and how much of it the slow annotators see."""

    num_studio: int
    num_wild: int
    num_long: int
    num_separation_sample: int
    noise: NoiseShares = field(default_factory=NoiseShares)
    """What is wrong with the wild collection."""


@dataclass(frozen=True, slots=True)
class JudgesConfig:
    """The songs and steps that the codec and the judges are fitted with; none of these songs is in the corpus."""

    num_codec_songs: int
    semantic_steps: int
    num_recogniser_songs: int
    recogniser_steps: int
    num_similarity_songs: int
    similarity_steps: int
    num_musicality_songs: int
    musicality_steps: int
    num_tagger_songs: int
    num_noise_songs: int


@dataclass(frozen=True, slots=True)
class ModelSize:
    """The song model's sizes; its vocabulary comes from the corpus, and what is None is as in the demo's model."""

    width: int
    num_heads: int
    feed_forward_width: int
    num_layers: int
    num_decoder_layers: int
    delays: tuple[int, int, int]
    max_positions: int | None = None
    max_decoder_positions: int | None = None
    rope_base: float | None = None
    decoder_rope_base: float | None = None
    max_lyrics_tokens: int | None = None
    max_prompt_frames: int | None = None
    max_description_tokens: int | None = None

    @classmethod
    def of(cls, config: LeLMConfig) -> "ModelSize":
        """The sizes of a known model."""
        return cls(**{field.name: getattr(config, field.name) for field in fields(cls)})

    def over(self, config: LeLMConfig) -> LeLMConfig:
        """A config with these sizes in place of its own."""
        given = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(config, **{name: value for name, value in given.items() if value is not None})


@dataclass(frozen=True, slots=True)
class PhasePlan:
    """One training phase: its data, its length and its learning rate."""

    name: str
    stage: str
    collections: tuple[str, ...]
    steps: int
    batch_size: int
    learning_rate: float
    warmup_steps: int
    max_frames: int | None = None
    """Songs are cut to this length: growing from phase to phase, it lets a model find its lyrics sooner."""
    min_ratio: float = 0.1
    audio_prompt_dropout: float | None = None
    """How often batches go without audio prompts, where it is not the training's own share."""
    even: bool = False
    """Train on as many songs of each collection as the smallest of them has."""
    micro_batches: int = 1
    """Passes that a batch is accumulated from on each worker."""

    @property
    def examples_name(self) -> str:
        """What the phase's examples are kept under; phases on the same ones share them."""
        cut = "" if self.max_frames is None else f"-{self.max_frames}"
        return "+".join(self.collections) + cut + ("-even" if self.even else "")


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """Stages 1 and 2, and how they run."""

    phases: tuple[PhasePlan, ...]
    num_workers: int
    threads_per_worker: int
    zero_stage: int
    use_gpu: bool
    precision: Precision
    dropout: ConditionDropout
    table_std: float | None
    checkpoint_every: int
    max_failures: int
    split_fits: bool = False
    """Whether each phase is a fit of its own; else all phases of a step are one, which starts its workers once."""
    chunked_loss: bool = False
    """Keep a few rows' logits in memory at a time: for many classes."""
    recompute_activations: bool = False
    """Keep the layers' inputs alone and compute the rest twice."""
    compile_layers: bool = False
    """Have torch compile the layers first."""

    def applied_to(self, phase: PhaseConfig) -> PhaseConfig:
        """A phase with what is said here of memory and speed."""
        return replace(
            phase,
            chunked_loss=self.chunked_loss,
            recompute_activations=self.recompute_activations,
            compile_layers=self.compile_layers,
        )


@dataclass(frozen=True, slots=True)
class SamplingConfig:
    """How songs are drawn; `length_classes` are the padded shapes that the engine runs at."""

    length_classes: tuple[LengthClass, ...]
    num_replicas: int
    threads_per_replica: int
    temperature: float
    top_k: int
    guidance: float
    candidates_per_prompt: int
    samples_per_search_prompt: int
    samples_per_report_prompt: int
    use_gpu: bool = False
    """Whether every replica has a GPU."""

    @property
    def parameters(self) -> SamplingParameters:
        """What every song is drawn by."""
        return SamplingParameters(temperature=self.temperature, top_k=self.top_k, guidance=self.guidance)


@dataclass(frozen=True, slots=True)
class PromptsConfig:
    """How many prompts each set holds; long ones are reported apart."""

    num_pair: int
    num_search: int
    num_report: int
    num_long_report: int
    audio_prompt_frames: int


@dataclass(frozen=True, slots=True)
class AlignmentConfig:
    """Pairs and the preference runs."""

    margins: dict[Axis, float]
    noise_multiple: float
    pairs_per_prompt: int
    beta: float
    learning_rate: dict[Axis, float]
    mixed_learning_rate: float
    batch_size: int
    epochs: float
    mixed_epochs: float


@dataclass(frozen=True, slots=True)
class MergeConfig:
    """Which coefficients are tried on the search prompts, and what a merge may lose."""

    coefficients: tuple[tuple[float, float, float], ...]
    max_similarity_loss: float
    max_musicality_loss: float


@dataclass(frozen=True, slots=True)
class LoopConfig:
    """One whole run."""

    recipe: str
    seed: int
    world: WorldConfig
    corpus: CorpusConfig
    judges: JudgesConfig
    model: ModelSize
    training: TrainingConfig
    prompts: PromptsConfig
    sampling: SamplingConfig
    alignment: AlignmentConfig
    merge: MergeConfig
    code_size: int = 512
    bootstrap_resamples: int = field(default=10_000)
