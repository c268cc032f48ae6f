"""Models of services as they are read: everything botocore's data say of shapes, and no word for people."""

from __future__ import annotations

import gzip
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import orjson
import pytest

from services.sdk.aws.model import called, load_model
from services.sdk.discovery import managed_services

SPOKEN = sorted(
    {called(name) for each in managed_services() for name in each.speaks} | {"sqs", "dynamodb", "route53"}
)


def raw_model(service: str) -> Any:
    spec = find_spec("botocore")
    assert spec is not None and spec.submodule_search_locations
    folder = Path(spec.submodule_search_locations[0]) / "data" / service
    return orjson.loads(gzip.decompress(sorted(folder.glob("*/service-2.json.gz"))[-1].read_bytes()))


def without_documentation(part: Any) -> Any:
    if isinstance(part, dict):
        texts = [name for name in ("documentation", "documentationUrl") if isinstance(part.get(name), str)]
        return {name: without_documentation(value) for name, value in part.items() if name not in texts}
    return [without_documentation(each) for each in part] if isinstance(part, list) else part


@pytest.mark.parametrize("service", SPOKEN)
def test_nothing_but_documentation_is_left_out(service: str) -> None:
    model, raw = load_model(service), without_documentation(raw_model(service))
    assert (model.metadata, model.operations, model.shapes) == (raw["metadata"], raw["operations"], raw["shapes"])
