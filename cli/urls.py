"""Parts of URLs out of what somebody typed: quoted, and refused where it could mean another place."""

from __future__ import annotations

from controller.main.errors import Misuse
from crds.errors import Invalid
from crds.names import url_path


def segment(name: str) -> str:
    """Raises Misuse for what can be no name."""
    try:
        return url_path(name)
    except Invalid as invalid:
        raise Misuse(invalid.message) from invalid
