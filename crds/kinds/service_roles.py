"""The role of a Service: where its program finds temporary credentials, and what cannot be said beside it.

Source: AWS SDKs and tools reference guide, "Container credential provider".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from crds.kinds.service import ServiceSpec

FOLDER = "/run/aerekos"
TOKEN_FILE, CA_FILE = f"{FOLDER}/role-token", f"{FOLDER}/ca.crt"
URI_VARIABLE, TOKEN_VARIABLE = "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"
MACHINE_ADDRESS, MACHINE_PORT = "169.254.170.2", 7447
"""Where a container asks its own machine; SDKs take credentials from this address without TLS."""
_SET_BY_US = frozenset({URI_VARIABLE, TOKEN_VARIABLE})


def role_fault(spec: ServiceSpec) -> str:
    """Why no Service with a role can be like that, beginning with the field; empty when one can."""
    if not spec.role:
        return ""
    if spec.engine is not None:
        return "role: an engine asks no AWS service; a program (command) may have a role"
    for path in (*(each.path for each in spec.volumes), *(each.path for each in spec.files)):
        if path == FOLDER or path.startswith(f"{FOLDER}/"):
            return f"path: {path}: there a Service with a role finds its token; put it elsewhere"
    named = next((each.name for each in spec.env if each.name in _SET_BY_US), "")
    return f"env: {named} is set by the cloud for a Service with a role; leave it out" if named else ""
