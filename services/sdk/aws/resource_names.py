"""What a resource is called that AWS knows by a name resources may not have, or that is in another region. Light."""

from __future__ import annotations

import hashlib
from functools import lru_cache

from crds.names import subdomain_fault

DEFAULT_REGION = "us-east-1"
"""Of what was made without a region, by `kubectl`; it is seen in every one."""
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyz0123456789")
_BEGINNING, _LONGEST = 40, 63
_LONGEST_KEPT = 256
"""Longer than any name AWS has; such a one is looked for before anybody knows who asks."""


def resource_name(name: str, region: str = "") -> str:
    """The name itself where a resource may have it; else a readable beginning and the hash of the whole."""
    is_kept = len(name) <= _LONGEST_KEPT and len(region) <= _LONGEST
    return _kept(name, region) if is_kept else _reckoned(name, region)


def _reckoned(name: str, region: str) -> str:
    is_elsewhere = region not in ("", DEFAULT_REGION)
    if not is_elsewhere and len(name) <= _LONGEST and subdomain_fault(name) is None:
        return name
    plain = "".join(each if each in _PLAIN else "-" for each in name[:_BEGINNING].lower())[:_BEGINNING].strip("-")
    whole = f"{region}\x00{name}" if is_elsewhere else name
    digest = hashlib.sha256(whole.encode()).hexdigest()[:12]
    return f"{plain}-{digest}".strip("-")


_kept = lru_cache(maxsize=4096)(_reckoned)
