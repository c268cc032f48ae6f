"""The settings of the cloud that its gateways follow, as one line of the channel: `["settings", {...}]`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import orjson


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """Requests per second of one principal, from one address and to one service, in the whole cloud; `gateways` share
    them.
    """

    per_principal: int = 10_000
    per_address: int = 5_000
    per_service: int = 20_000
    gateways: int = 1


def settings_line(settings: GatewaySettings) -> bytes:
    """The line."""
    return orjson.dumps(["settings", asdict(settings)], option=orjson.OPT_APPEND_NEWLINE)


def read_settings(fields: Mapping[str, Any]) -> GatewaySettings:
    """What follows the word `settings`. Raises TypeError for one that is not known."""
    return GatewaySettings(**fields)
