"""Tables of a run as MLflow's evaluation view shows them: a JSON file, and the tag that says that it is a table.

MLflow's own `log_table` appends to a table that is there; here the last of a name counts, so that an event may be
applied twice.
"""

import json
from typing import Any

from mlflow import MlflowClient

_TABLES = "mlflow.loggedArtifacts"


def log_table(client: MlflowClient, run_id: str, content: dict[str, Any]) -> None:
    """Write what a table event says to the run's artifact `NAME.json`, in place of what is there."""
    file = content["name"].removesuffix(".json") + ".json"
    table = {"columns": content["columns"], "data": content["rows"]}
    client.log_text(run_id, json.dumps(table), file)
    entry = {"path": file, "type": "table"}
    known = json.loads(client.get_run(run_id).data.tags.get(_TABLES, "[]"))
    if entry not in known:
        client.set_tag(run_id, _TABLES, json.dumps([*known, entry]))
