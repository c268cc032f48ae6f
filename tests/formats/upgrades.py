"""What every upgrade of a stored body must keep to, tried on bodies as code of before wrote them."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from crds.kind import Kind

KINDS = Path(__file__).parent / "kinds"


def golden(kind: Kind[Any], folder: Path = KINDS) -> dict[int, dict[str, Any]]:
    """By format, a body as that format's code wrote it: `kinds/<plural>.<group>/<format>.json`."""
    files = [folder / kind.resource / f"{number}.json" for number in range(1, len(kind.upgrades) + 1)]
    return {number: json.loads(file.read_text()) for number, file in enumerate(files, 1)}


def upgrade_faults(kind: Kind[Any], bodies: dict[int, dict[str, Any]]) -> Iterator[str]:
    """Every promise of `crds.formats.Upgrade` that one of its upgrades breaks."""
    for number, body in bodies.items():
        steps = kind.upgrades[number - 1 :]
        given, new, again = copy.deepcopy(body), _upgraded(steps, body), _upgraded(steps, _upgraded(steps, body))
        if body != given:
            yield f"{number}: the body it was given was changed"
        if again != new:
            yield f"{number}: done twice it is not done once"
        yield from (f"{number}: {path} was taken away or changed" for path in _missing(body, new))
        try:
            kind.decode(new)
        except ValidationError as error:
            yield f"{number}: this version cannot read the result: {error}"


def _upgraded(steps: Any, body: dict[str, Any]) -> dict[str, Any]:
    for step in steps:
        body = step(body)
    return body


def _missing(old: Any, new: Any, path: str = "") -> Iterator[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        for name, value in old.items():
            yield from _missing(value, new.get(name), f"{path}.{name}" if path else name)
    elif path != "apiVersion" and old != new:
        yield path
