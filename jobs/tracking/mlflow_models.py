"""A run's models in MLflow: registered once per SHA-256, linked to the runs that made and used them, and aliased.

They are LoggedModels without a flavour and without files; their tags say where the weights lie.
"""

import json
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import LoggedModel, LoggedModelInput, LoggedModelOutput
from mlflow.entities.model_registry import ModelVersion

from jobs.tracking.delivery import EventRefusedError

SHA256, URI = "levo.sha256", "levo.uri"
_VERSIONS = "mlflow.modelVersions"
_DECISION = "levo.decision."
"""The tag of a registered model that says which decision moved an alias last."""


class MlflowModels:
    """The models of one experiment, and their versions in the registry."""

    def __init__(self, client: MlflowClient, experiment_id: str) -> None:
        self._client = client
        self._experiment_id = experiment_id

    def register(self, run_id: str, content: dict[str, Any]) -> None:
        """Register what a model event says, unless it is there, and move the alias to it."""
        name = content["name"]
        known = self._registered_version(name, content["sha256"])
        version = self._make_version(run_id, content) if known is None else known
        if content["alias"]:
            self._client.set_registered_model_alias(name, content["alias"], str(version.version))

    def move_aliases(self, content: dict[str, Any]) -> None:
        """Move aliases in their order, except those that a later decision has moved.

        Raises `EventRefusedError` where a version is not registered, and then moves none.
        """
        name, decision = content["name"], content["decision"]
        moves = [(alias, sha256 and self._version_named(name, sha256)) for alias, sha256 in content["moves"]]
        found = self._client.search_registered_models(f"name = '{name}'")
        decided = found[0].tags if found else {}
        for alias, version in moves:
            if int(decided.get(_DECISION + alias, decision)) > decision:
                continue
            if version:
                self._client.set_registered_model_alias(name, alias, version)
            elif found and alias in found[0].aliases:
                self._client.delete_registered_model_alias(name, alias)
            if found:
                self._client.set_registered_model_tag(name, _DECISION + alias, str(decision))

    def _version_named(self, name: str, sha256: str) -> str:
        version = self._registered_version(name, sha256)
        if version is None:
            raise _not_registered(name, sha256)
        return str(version.version)

    def use(self, run_id: str, content: dict[str, Any]) -> None:
        """Make a registered model an input of a run; raises `EventRefusedError` where nobody registered it."""
        model = self._logged_model(content)
        if model is None:
            raise _not_registered(content["name"], content["sha256"])
        if model.model_id not in [used.model_id for used in self._client.get_run(run_id).inputs.model_inputs]:
            self._client.log_inputs(run_id, models=[LoggedModelInput(model.model_id)])

    def _logged_model(self, content: dict[str, Any]) -> LoggedModel | None:
        # Versions do not keep the id of their logged model.
        query = f"name = '{content['name']}' AND tags.`{SHA256}` = '{content['sha256']}'"
        models = self._client.search_logged_models([self._experiment_id], query, max_results=1)
        return models[0] if models else None

    def _registered_version(self, name: str, sha256: str) -> ModelVersion | None:
        for version in self._client.search_model_versions(f"name = '{name}'"):
            if version.tags.get(SHA256) == sha256:
                return version
        return None

    def _make_version(self, run_id: str, content: dict[str, Any]) -> ModelVersion:
        """A version and its logged model, which an attempt that was broken off may have left."""
        name, tags = content["name"], {SHA256: content["sha256"], URI: content["uri"]}
        model = self._logged_model(content) or self._client.create_logged_model(
            self._experiment_id, name, source_run_id=run_id, tags=tags
        )
        self._client.finalize_logged_model(model.model_id, "READY")
        if model.model_id not in [made.model_id for made in self._client.get_run(run_id).outputs.model_outputs]:
            self._client.log_outputs(run_id, [LoggedModelOutput(model.model_id, 0)])
        if not self._client.search_registered_models(f"name = '{name}'"):
            self._client.create_registered_model(name)
        version = self._client.create_model_version(
            name, model.artifact_location, run_id=run_id, tags=tags, model_id=model.model_id, await_creation_for=0
        )
        links = [{"name": name, "version": str(version.version)}]
        self._client.set_logged_model_tags(model.model_id, {_VERSIONS: json.dumps(links)})
        return version


def _not_registered(name: str, sha256: str) -> EventRefusedError:
    return EventRefusedError(f"model {name} with SHA-256 {sha256} is not registered; log_model registers it")
