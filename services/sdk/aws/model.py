"""Service models: which operations an AWS service has and the shapes they take, from botocore's own data files.

The JSON is read without importing botocore (that alone would take longer than a service may take to start).
Source: botocore `data/<service>/<version>/service-2.json.gz`.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import orjson

Shape = dict[str, Any]
_FOR_PEOPLE = ("documentation", "documentationUrl")
_CALLED: dict[str, str] = {"monitoring": "cloudwatch"}
"""What botocore, and actions in policies, call a service whose credentials are scoped to another name."""


@dataclass(frozen=True)
class ServiceModel:
    """One version of one service's API."""

    name: str
    metadata: dict[str, Any]
    operations: dict[str, dict[str, Any]]
    shapes: dict[str, Shape]

    @property
    def target_prefix(self) -> str:
        """`TrentService` in `X-Amz-Target: TrentService.Encrypt`."""
        return str(self.metadata.get("targetPrefix", ""))

    @property
    def signing_name(self) -> str:
        """`kms` in credentials; `monitoring` of CloudWatch."""
        return str(self.metadata.get("signingName") or self.metadata.get("endpointPrefix", ""))

    @property
    def action_prefix(self) -> str:
        """`kms` before the colon of actions in policies."""
        return called(self.signing_name)

    @property
    def content_type(self) -> str:
        return f"application/x-amz-json-{self.metadata.get('jsonVersion', '1.0')}"

    @cached_property
    def errors(self) -> dict[str, int]:
        """HTTP code of each error the service declares."""
        found = {}
        for name, shape in self.shapes.items():
            if shape.get("exception"):
                error = shape.get("error") or {}
                found[str(error.get("code", name))] = int(error.get("httpStatusCode", 400))
        return found

    @cached_property
    def takes_gzip(self) -> bool:
        """Whether clients compress bodies of its requests: those of some operation, once they are long."""
        return any(
            "gzip" in each.get("requestcompression", {}).get("encodings", ()) for each in self.operations.values()
        )

    def input_of(self, operation: str) -> str | None:
        """The name of the operation's input shape."""
        return self._shape_name(operation, "input")

    def output_of(self, operation: str) -> str | None:
        """The name of the operation's output shape."""
        return self._shape_name(operation, "output")

    def _shape_name(self, operation: str, side: str) -> str | None:
        wanted = self.operations[operation].get(side)
        return str(wanted["shape"]) if wanted else None


def called(signing_name: str) -> str:
    """What boto3, ARNs and policies call the service of that signing name: `cloudwatch` for `monitoring`."""
    return _CALLED.get(signing_name, signing_name)


def load_model(service: str) -> ServiceModel:
    """The newest model of that service (`kms`), by its signing name too. Raises LookupError."""
    return _load(called(service))


@cache
def _load(service: str) -> ServiceModel:
    spec = find_spec("botocore")
    if spec is None or not spec.submodule_search_locations:
        raise LookupError("botocore is not installed")
    folder = Path(spec.submodule_search_locations[0]) / "data" / service
    files = sorted(folder.glob("*/service-2.json*"))
    if not files:
        raise LookupError(f"botocore has no model of {service!r}")
    content = files[-1].read_bytes()
    raw = orjson.loads(gzip.decompress(content) if files[-1].suffix == ".gz" else content)
    _drop_documentation(raw)
    return ServiceModel(service, raw["metadata"], raw["operations"], raw["shapes"])


def _drop_documentation(part: Any) -> None:
    """It is most of a model, and nobody reads it here."""
    if isinstance(part, dict):
        for name in _FOR_PEOPLE:
            if isinstance(part.get(name), str):
                del part[name]
        part = part.values()
    elif not isinstance(part, list):
        return
    for each in part:
        _drop_documentation(each)
