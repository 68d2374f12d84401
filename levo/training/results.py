"""What a finished phase leaves beside its model: a record by which a rerun knows that nothing is left to do."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from levo.model.store import ModelFolderError, model_digest
from levo.song.digest import digest_json
from levo.song.files import write_json
from levo.training.phases import PhaseConfig, Stage

RESULT_FILE = "result.json"
MODEL_FOLDER = "model"


@dataclass(frozen=True, slots=True)
class MixedLogitsProof:
    """Digests of the mixed stream's logits on fixed input, under the initial model and under the trained one."""

    before: str
    after: str

    @property
    def identical(self) -> bool:
        """Whether not a bit changed, as extension promises."""
        return self.before == self.after


@dataclass(frozen=True, slots=True)
class PhaseResult:
    """A finished phase: `metrics` are those of the last logging interval; `skipped` where nothing had to be done."""

    name: str
    stage: Stage
    identity: str
    model_folder: Path
    model_digest: str
    num_steps: int
    wall_s: float
    metrics: dict[str, float]
    num_frozen_tensors: int
    mixed_logits: MixedLogitsProof | None = None
    skipped: bool = False


def phase_identity(phase: PhaseConfig, data_digest: str, init_digest: str) -> str:
    """What a phase's outcome depends on: its recipe, its data and its initial weights."""
    return digest_json({"recipe": phase.recipe_fields(), "data": data_digest, "init": init_digest})


def write_result(folder: Path, result: PhaseResult) -> None:
    """Write the record into the phase's folder; a finished phase is one that has it."""
    write_json(folder / RESULT_FILE, asdict(result) | {"model_folder": MODEL_FOLDER})


def read_result(folder: Path) -> PhaseResult | None:
    """The record of a finished phase, marked skipped; None where there is none or its model is not what it names."""
    path = folder / RESULT_FILE
    if not path.is_file():
        return None
    fields = json.loads(path.read_text())
    proof = fields["mixed_logits"]
    fields |= {
        "stage": Stage(fields["stage"]),
        "model_folder": folder / fields["model_folder"],
        "mixed_logits": None if proof is None else MixedLogitsProof(**proof),
        "skipped": True,
    }
    result = PhaseResult(**fields)
    try:
        intact = model_digest(result.model_folder) == result.model_digest
    except (ModelFolderError, FileNotFoundError):
        return None
    return result if intact else None
