"""Resources held to the schemas of their kinds: defaults put in first, unknown fields refused.

What the schemas do not say is not looked at: KubeRay's rules in CEL, and the checks of its operator and of Kubernetes.
"""

import json
import lzma
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema

_FOLDER = Path(__file__).parent / "schemas"
_METADATA = "#/$defs/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"


def problems(resource: dict[str, Any]) -> list[str]:
    """What is wrong with a resource, each with its place; KeyError for a kind whose schema is not here."""
    validator = _validator(f"{resource['apiVersion']}/{resource['kind']}")
    found = validator.iter_errors(_with_defaults(resource, validator.schema))
    return [f"{'/'.join(map(str, error.absolute_path))}: {error.message}" for error in found]


@cache
def _validator(kind: str) -> Any:
    core, rays = _read("kubernetes-1.34"), _read("kuberay-1.7.0")
    if kind in core["kinds"]:
        schema = core["kinds"][kind]
    else:
        schema = _strict(rays[kind])
        schema["properties"]["metadata"] = {"$ref": _METADATA}
    return jsonschema.Draft7Validator(schema | {"$defs": core["$defs"]})


@cache
def _read(name: str) -> Any:
    return json.loads(lzma.decompress((_FOLDER / f"{name}.json.xz").read_bytes()))


def _strict(schema: Any) -> Any:
    """A schema that refuses fields it does not know."""
    if isinstance(schema, list):
        return [_strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    made = {name: _strict(part) for name, part in schema.items()}
    if made.get("type") == "object" and "properties" in made and "additionalProperties" not in made:
        made["additionalProperties"] = bool(schema.get("x-kubernetes-preserve-unknown-fields"))
    return made


def _with_defaults(value: Any, schema: Any) -> Any:
    """What the API server makes of a resource before it looks at it: defaults in, nulls out."""
    if isinstance(value, list):
        return [_with_defaults(part, schema.get("items", {})) for part in value]
    if not isinstance(value, dict):
        return value
    fields = schema.get("properties", {})
    told = {name: part["default"] for name, part in fields.items() if isinstance(part, dict) and "default" in part}
    told |= {name: part for name, part in value.items() if part is not None}
    return {name: _with_defaults(part, fields.get(name, {})) for name, part in told.items()}
