"""Services reach their own namespace's network, and others only where that namespace lets them.

The grant is the target's: the verb `use` on `networks` of our group, in the namespace whose network it is, by a Role
or ClusterRole bound there, as any other right. Cluster-wide editors do not have it; admins do.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from api.auth.authorizer import Authorizer
from api.auth.principal import Principal
from api.auth.rules import Action
from crds.errors import Forbidden
from crds.kind import GROUP

USE, NETWORKS = "use", "networks"


def refuse_foreign_networks(authorizer: Authorizer, who: Principal, namespace: str, *bodies: dict[str, Any]) -> None:
    """Raises Forbidden when a Service of that namespace, as `who` writes it, would join a network it may not.

    `bodies`: what is written, and where only a part of it is, what stands besides. Asked with every write: whoever
    changes what runs in a network speaks there.
    """
    for target in sorted(set(_foreign(namespace, *bodies))):
        if not authorizer.allows(who, Action(USE, GROUP, NETWORKS, target, target)):
            raise Forbidden(
                f'networks "{target}" is forbidden: user "{who.name}" cannot {USE} resource "{NETWORKS}" in API '
                f'group "{GROUP}" in the namespace "{target}"; who may bind roles there can allow it'
            )


def _foreign(namespace: str, *bodies: dict[str, Any]) -> Iterator[str]:
    for body in bodies:
        spec = body.get("spec")
        named = spec.get("networks") if isinstance(spec, dict) else None
        # What is no list of names is refused by the kind, in its own words.
        names = named if isinstance(named, list) else ()
        yield from (each for each in names if isinstance(each, str) and each != namespace)
