"""A run's models in MLflow: registered once per SHA-256, and linked to the runs that made and used them.

They are LoggedModels without a flavour and without files; their tags say where the weights lie.
"""

import json
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import LoggedModelInput, LoggedModelOutput
from mlflow.entities.model_registry import ModelVersion

from jobs.tracking.delivery import EventRefusedError

SHA256, _URI = "levo.sha256", "levo.uri"
_VERSIONS = "mlflow.modelVersions"


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

    def use(self, run_id: str, content: dict[str, Any]) -> None:
        """Make a registered model an input of a run; raises `EventRefusedError` where nobody registered it."""
        # Versions do not keep the id of their logged model.
        query = f"name = '{content['name']}' AND tags.`{SHA256}` = '{content['sha256']}'"
        models = self._client.search_logged_models([self._experiment_id], query, max_results=1)
        if not models:
            raise EventRefusedError(f"model {content['name']} with SHA-256 {content['sha256']} is not registered")
        model_id = models[0].model_id
        if model_id not in [model.model_id for model in self._client.get_run(run_id).inputs.model_inputs]:
            self._client.log_inputs(run_id, models=[LoggedModelInput(model_id)])

    def _registered_version(self, name: str, sha256: str) -> ModelVersion | None:
        for version in self._client.search_model_versions(f"name = '{name}'"):
            if version.tags.get(SHA256) == sha256:
                return version
        return None

    def _make_version(self, run_id: str, content: dict[str, Any]) -> ModelVersion:
        name, tags = content["name"], {SHA256: content["sha256"], _URI: content["uri"]}
        model = self._client.create_logged_model(self._experiment_id, name, source_run_id=run_id, tags=tags)
        self._client.finalize_logged_model(model.model_id, "READY")
        self._client.log_outputs(run_id, [LoggedModelOutput(model.model_id, 0)])
        if not self._client.search_registered_models(f"name = '{name}'"):
            self._client.create_registered_model(name)
        version = self._client.create_model_version(
            name, model.artifact_location, run_id=run_id, tags=tags, model_id=model.model_id
        )
        links = [{"name": name, "version": str(version.version)}]
        self._client.set_logged_model_tags(model.model_id, {_VERSIONS: json.dumps(links)})
        return version
