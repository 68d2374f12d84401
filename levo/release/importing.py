"""A release's folder becomes a model folder of ours, tensor by tensor; what the model never reads is kept beside it."""

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from levo.model.config import LeLMConfig
from levo.model.construction import empty_lelm
from levo.model.safetensors_files import SafetensorsWriter
from levo.model.store import CONFIG_FILE, TOKENIZER_FOLDER, WEIGHTS_FILE, model_digest
from levo.model.tokenizer import TOKENIZER_FILES, base_vocabulary
from levo.release import config_file
from levo.release.errors import ReleaseError
from levo.release.layout import DESCRIPTION_TABLE, TensorTally, TextRules, lelm_config, tally, text_rules
from levo.release.tensors import PREFIX, TensorFacts, TensorSource, find_weights, opened_tensors
from levo.song.digest import digest_json
from levo.song.files import staged_folder, write_json

RELEASE_FOLDER = "release"
FACTS_FILE = "release.json"
REST_FILE = "rest.safetensors"
_TOKENIZER_KEY = "conditioners.description.QwTokenizer.token_path"

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class ImportedRelease:
    """What was imported: the model's digest and config, the release's fingerprint, and what became of each tensor.

    The fingerprint is SHA-256 over all tensors of the checkpoint by name: dtype, shape and bytes of each.
    """

    digest: str
    fingerprint: str
    rules: TextRules
    config: LeLMConfig
    tensors: TensorTally
    num_parameters: int


def import_release(
    release: Path,
    out: Path,
    *,
    weights: Path | None = None,
    tokenizer: Path | None = None,
    progress: Progress | None = None,
) -> ImportedRelease:
    """Read a release's folder into `out`, a model folder of ours, which appears whole or not at all.

    Tensors keep their dtypes and bits. Beside the model lies `release/`: its config.yaml, the tensors that the model
    never reads, and the order of all, so that the release can be written back. `weights` and `tokenizer` name what is
    not where the config says. Raises `ReleaseError` for what is missing, damaged or of another shape.
    """
    if out.exists():
        raise ReleaseError(f"{out} exists; choose a folder that does not")
    config = config_file.read_config(release)
    words = tokenizer or _tokenizer_folder(release, config)
    paths = find_weights(release, weights)
    with opened_tensors(paths) as source:
        rules = text_rules(_description_rows(source), base_vocabulary(words).size)
        model_config = lelm_config(config, words, rules)
        tensors = tally(source.facts, expected_shapes(model_config))
        _refuse(tensors, paths[0])
        with staged_folder(out) as staging:
            (staging / RELEASE_FOLDER).mkdir()
            fingerprint = _write_tensors(source, tensors, staging, progress or (lambda _done, _all: None))
            (staging / CONFIG_FILE).write_text(json.dumps(asdict(model_config), indent=1, sort_keys=True) + "\n")
            _copy_tokenizer(words, staging / TOKENIZER_FOLDER)
            shutil.copy2(release / config_file.CONFIG_FILE, staging / RELEASE_FOLDER / config_file.CONFIG_FILE)
            facts = {
                "fingerprint": fingerprint,
                "rules": rules,
                "weights_file": paths[0].name if len(paths) == 1 else WEIGHTS_FILE,
                "tokenizer_path": str(config_file.value_at(config, _TOKENIZER_KEY, str)),
                "tally": asdict(tensors),
                "tensors": {name: asdict(one) for name, one in source.facts.items()},
            }
            write_json(staging / RELEASE_FOLDER / FACTS_FILE, facts)
        sizes = [torch.Size(source.facts[PREFIX + name].shape).numel() for name in tensors.used]
    return ImportedRelease(model_digest(out), fingerprint, rules, model_config, tensors, sum(sizes))


def release_rules(model: Path) -> TextRules | None:
    """Which release's text an imported model reads; None for a model that was not imported."""
    file = model / RELEASE_FOLDER / FACTS_FILE
    if not file.is_file():
        return None
    rules: TextRules = json.loads(file.read_text())["rules"]
    return rules


def expected_shapes(config: LeLMConfig) -> dict[str, tuple[int, ...]]:
    """The shape of every tensor of a model, without making one."""
    return {name: tuple(tensor.shape) for name, tensor in empty_lelm(config).state_dict().items()}


class Fingerprint:
    """SHA-256 over tensors by name, in whatever order they come: dtype, shape and bytes of each."""

    def __init__(self) -> None:
        self._digests: dict[str, str] = {}

    def add(self, name: str, facts: TensorFacts, tensor: Tensor) -> None:
        """One more tensor."""
        content = hashlib.sha256(f"{facts.dtype}\n{list(facts.shape)}\n".encode())
        content.update(tensor.contiguous().flatten().view(torch.uint8).numpy().data)
        self._digests[name] = content.hexdigest()

    @property
    def value(self) -> str:
        """Over what was added so far."""
        return digest_json(self._digests)


def _write_tensors(source: TensorSource, tensors: TensorTally, staging: Path, progress: Progress) -> str:
    """One pass by name, so that equal tensors make equal files: the model's to one, all others to another."""
    used = set(tensors.used)
    by_name = dict(sorted(source.facts.items()))
    model = {name.removeprefix(PREFIX): facts for name, facts in by_name.items() if _is_used(name, used)}
    rest = {name: facts for name, facts in by_name.items() if not _is_used(name, used)}
    fingerprint = Fingerprint()
    with (
        SafetensorsWriter(staging / WEIGHTS_FILE, _layout(model)) as model_file,
        SafetensorsWriter(staging / RELEASE_FOLDER / REST_FILE, _layout(rest)) as rest_file,
    ):
        for done, (name, facts) in enumerate(by_name.items(), 1):
            tensor = source.tensor(name)
            fingerprint.add(name, facts, tensor)
            if _is_used(name, used):
                if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
                    raise ReleaseError(f"tensor {name} holds values that are not finite")
                model_file.write(name.removeprefix(PREFIX), tensor)
            else:
                rest_file.write(name, tensor)
            progress(done, len(by_name))
    return fingerprint.value


def _is_used(name: str, used: set[str]) -> bool:
    return name.startswith(PREFIX) and name.removeprefix(PREFIX) in used


def _layout(facts: Mapping[str, TensorFacts]) -> dict[str, tuple[str, tuple[int, ...]]]:
    return {name: (one.dtype, one.shape) for name, one in facts.items()}


def _description_rows(source: TensorSource) -> int:
    facts = source.facts.get(PREFIX + DESCRIPTION_TABLE)
    if facts is None or len(facts.shape) != 2:
        raise ReleaseError(
            f"the checkpoint holds no table {PREFIX}{DESCRIPTION_TABLE}; "
            f"found {', '.join(list(source.facts)[:3]) or 'none'}"
        )
    return facts.shape[0]


def _refuse(tensors: TensorTally, path: Path) -> None:
    problems = [*(f"{name} is missing" for name in tensors.missing), *tensors.misshapen]
    if problems:
        unexpected = f"; unexpected: {', '.join(tensors.unexpected)}" if tensors.unexpected else ""
        raise ReleaseError(f"{path.name}: {'; '.join(problems)}{unexpected}")


def _tokenizer_folder(release: Path, config: dict[str, Any]) -> Path:
    """Where the config's token_path lies: in the release's folder, beside it, or under the current one."""
    name = config_file.value_at(config, _TOKENIZER_KEY, str)
    places: Sequence[Path] = (release / name, release.parent / name, release.parent.parent / name, Path(name))
    for place in places:
        if (place / TOKENIZER_FILES[0]).is_file():
            return place
    tried = ", ".join(str(place) for place in places)
    raise ReleaseError(f"no tokenizer folder {name!r} (looked for {tried}); name it with --tokenizer")


def _copy_tokenizer(folder: Path, target: Path) -> None:
    target.mkdir()
    for name in TOKENIZER_FILES:
        if (folder / name).is_file():
            shutil.copy2(folder / name, target / name)
