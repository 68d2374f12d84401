"""The models of a run as the registry knows them: `levo-RECIPE-ROLE`, where the weights lie, and their SHA-256."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobs.tracking.protocol import ModelReference
from levo.song.digest import digest_file, digest_json
from pipelines.corpus.embedded import CODEC, MUSICALITY, RECOGNISER, TAGGER
from pipelines.loop.context import LoopContext
from pipelines.loop.fitting import DEFECTS, SIMILARITY, TAG_AGREEMENT
from pipelines.loop.model_names import BASE, INITIAL, INTERPOLATED
from pipelines.loop.rivals import RIVALS

TOKENIZER = "tokenizer"
SIMILARITY_JUDGE, MUSICALITY_JUDGE = "similarity-judge", "musicality-judge"
TAG_AGREEMENT_JUDGE, DEFECTS_JUDGE = "tag-agreement-judge", "defects-judge"
LISTENERS = (CODEC, RECOGNISER, TAGGER)
"""What hears every song, of the corpus or sampled."""

_MIXTURE = "mixture"

Results = Mapping[str, Mapping[str, Any]]
Models = dict[str, ModelReference]


def registered_name(recipe: str, role: str) -> str:
    """The name under which the registry knows a recipe's model."""
    return f"levo-{recipe}-{role.replace('_', '-')}"


@dataclass(frozen=True, slots=True)
class RunModels:
    """References to a run's models, from what its finished steps returned."""

    context: LoopContext

    def known(self, results: Results) -> Models:
        """Every model of the finished steps, by its role (a tried mixture by its folder's name)."""
        return {role: model for step, result in results.items() for role, model in self.made_by(step, result).items()}

    def made_by(self, step: str, result: Mapping[str, Any]) -> Models:
        """The models that a step made, by role; none for a step that makes none."""
        match step:
            case "fit":
                return self._fitted(result)
            case "initial":
                return {TOKENIZER: self._tokenizer(), **self._lelms({INITIAL: result["digest"]})}
            case "train":
                return self._lelms({BASE: result["digest"]})
            case "align":
                return self._lelms({phase["name"]: phase["digest"] for phase in result["phases"]})
            case "merge":
                return {name: self._lelm(name, digest, _MIXTURE) for name, digest in result["models"].items()}
            case "choose":
                return self._lelms({INTERPOLATED: result["digest"]})
            case "rivals":
                return self._lelms({name: result[name] for name in RIVALS})
            case "stages-train":
                return self._lelms(result["models"])
            case _:
                return {}

    def _fitted(self, result: Mapping[str, Any]) -> Models:
        held_out = result["held_out"]
        fitted = (
            (CODEC, CODEC, result[CODEC]),
            (RECOGNISER, RECOGNISER, result[RECOGNISER]),
            (TAGGER, TAGGER, result[TAGGER]),
            (SIMILARITY_JUDGE, SIMILARITY, result[SIMILARITY]),
            (MUSICALITY_JUDGE, MUSICALITY, result[MUSICALITY]["digest"]),
            (TAG_AGREEMENT_JUDGE, TAG_AGREEMENT, held_out[TAG_AGREEMENT]),
            (DEFECTS_JUDGE, DEFECTS, held_out[DEFECTS]),
        )
        models = self.context.places.models
        return {role: self._reference(role, models / folder, digest) for role, folder, digest in fitted}

    def _tokenizer(self) -> ModelReference:
        """The tokenizer, by its files' names and digests."""
        folder = self.context.places.tokenizer
        digests = {file.name: digest_file(file) for file in sorted(folder.iterdir())}
        return self._reference(TOKENIZER, folder, digest_json(digests))

    def _lelms(self, digests: Mapping[str, str]) -> Models:
        return {name: self._lelm(name, digest, name) for name, digest in digests.items()}

    def _lelm(self, name: str, digest: str, role: str) -> ModelReference:
        return self._reference(role, self.context.places.lelm(name), digest)

    def _reference(self, role: str, folder: Path, digest: str) -> ModelReference:
        return ModelReference(registered_name(self.context.config.recipe, role), folder.resolve().as_uri(), digest)
