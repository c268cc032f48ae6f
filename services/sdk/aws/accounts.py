"""The AWS account of a namespace (docs/interfaces.md). Light: manifests may import it."""

from __future__ import annotations

import hashlib
from functools import lru_cache


@lru_cache(maxsize=4096)
def account_of(namespace: str) -> str:
    """A namespace's AWS account: twelve digits."""
    if namespace == "default":
        return "000000000000"
    number = int(hashlib.sha256(namespace.encode()).hexdigest(), 16)
    return str(number)[:12]
