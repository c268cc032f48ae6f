"""The settings of the cloud that its gateways follow, as one line of the channel: `["settings", {...}]`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson

from api.auth.oidc.options import OidcOptions


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """Requests per second of one principal, from one address and to one service, in the whole cloud; `gateways` share
    them. `oidc`: the issuer whose ID tokens count.
    """

    per_principal: int = 10_000
    per_address: int = 5_000
    per_service: int = 20_000
    gateways: int = 1
    oidc: OidcOptions | None = None


def settings_line(settings: GatewaySettings) -> bytes:
    """The line."""
    return orjson.dumps(["settings", asdict(settings)], default=str, option=orjson.OPT_APPEND_NEWLINE)


def read_settings(fields: Mapping[str, Any]) -> GatewaySettings:
    """What follows the word `settings`. Raises TypeError for one that is not known."""
    oidc = fields.get("oidc")
    return GatewaySettings(**{**fields, "oidc": _oidc(oidc) if oidc else None})


def _oidc(fields: Mapping[str, Any]) -> OidcOptions:
    ca, algorithms = fields["ca"], tuple(fields["algorithms"])
    return OidcOptions(**{**fields, "ca": Path(ca) if ca else None, "algorithms": algorithms})
