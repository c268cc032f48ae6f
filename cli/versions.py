"""Which version this program is, and which the cloud."""

from __future__ import annotations

from importlib import metadata

from cli.errors import CliError
from cli.settings import Settings

_PACKAGE = "aerekos-cloud"


def own() -> str:
    """Of this program; `unknown` where it is not installed as a package."""
    try:
        return metadata.version(_PACKAGE)
    except metadata.PackageNotFoundError:
        return "unknown"


def both(settings: Settings) -> dict[str, str]:
    """`client`, and `cloud` (empty when nobody answers)."""
    from cli import connecting

    try:
        with connecting.connect(settings) as api:
            told = api.get("/version")
    except CliError:
        return {"client": own(), "cloud": ""}
    return {"client": own(), "cloud": str(told.get("version") or told.get("gitVersion") or "")}
