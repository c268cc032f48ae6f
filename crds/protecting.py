"""The invariants of the core kinds: what a cloud cannot lose without ceasing to be one."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from crds.invariants import Body, Transition, is_dying, on, spec_of

# The last two are Kubernetes' own: clients expect them, and the workers' leases are shown in one.
OURS = frozenset({"default", "aerekos-system", "kube-system", "kube-node-lease"})
# On the Worker of the conductor's own machine, which would be made again at once.
CONDUCTOR_LABEL = "aerekos.cloud/conductor"
_NAMED = 5


@on("delete")
def keeps_namespaces(transition: Transition) -> None:
    """Ours stay; others go when all that is in them may go."""
    if transition.key.name in OURS:
        raise transition.conflict("Protected", "this namespace may not be deleted")
    if is_dying(transition.before):
        return
    found = list(islice(transition.view.undeletable(transition.key.name), _NAMED + 1))
    if found:
        more = "; and more" if len(found) > _NAMED else ""
        raise transition.conflict(
            "ContentsProtected", f"what is in it cannot go yet: {'; '.join(found[:_NAMED])}{more}"
        )


@on("update", "delete", exclusive=True)
def keeps_an_admin(transition: Transition) -> None:
    """Somebody must be able to let others in."""
    if not _is_admin(transition.before):
        return
    if transition.operation == "update" and _is_admin(transition.after):
        return
    others = (each for each in _all(transition) if not _is(each, transition))
    if not any(_is_admin(each) for each in others):
        raise transition.conflict(
            "LastAdmin",
            "it is the last user with the role admin that is not disabled; give another user that role first",
        )


@on("delete", exclusive=True)
def keeps_a_worker(transition: Transition) -> None:
    """Where services are wanted, one worker is left to run them; and the conductor's own machine is one of them."""
    if CONDUCTOR_LABEL in (transition.before["metadata"].get("labels") or {}):
        raise transition.conflict(
            "ConductorMachine", "this machine is the cloud: its conductor runs here; stop it with: aerekos down"
        )
    if is_dying(transition.before) or not any(transition.view.list("services")):
        return
    others = (each for each in _all(transition) if not _is(each, transition))
    if all(is_dying(each) for each in others):
        raise transition.conflict(
            "LastWorker", "it is the last worker; let another machine join first: aerekos token create"
        )


@on("delete")
def keeps_what_others_need(transition: Transition) -> None:
    """A managed service stays as long as another one needs it."""
    managed = spec_of(transition.before).get("managed")
    if not managed or is_dying(transition.before):
        return
    needing = [
        other["metadata"]["name"]
        for other in _all(transition)
        if managed in transition.view.needs_of(spec_of(other).get("managed") or "") and not is_dying(other)
    ]
    if needing:
        first = f"aerekos delete service {' '.join(sorted(needing))}"
        raise transition.conflict("Needed", f"it is needed by {', '.join(sorted(needing))}: {first}")


def _all(transition: Transition) -> Iterable[Body]:
    """Resources of its kind, in its namespace."""
    return transition.view.list(transition.kind.plural, transition.key.namespace or None, transition.kind.group)


def _is(body: Body, transition: Transition) -> bool:
    return bool(body["metadata"]["name"] == transition.key.name)


def _is_admin(user: Body) -> bool:
    spec = spec_of(user)
    return "admin" in (spec.get("roles") or ()) and not spec.get("disabled") and not is_dying(user)
