"""Invariants of secrets and their versions, whoever writes.

- A ManagedSecret with versions goes by `spec.deletionDate`, 7 to 30 days ahead, taken back at any time before; then
  secrets-manager deletes it. A DELETE of anybody else is refused, as with keys: it could not be taken back.
- Versions are written by secrets-manager alone, and go with their secret.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from crds.invariants import CONDUCTOR, Body, Reference, Transition, changed, on, spec_of, status_of
from services.sdk.aws.resource_names import resource_name

SECRETS_MANAGER = "system:service:secrets-manager"
DEFAULT_KEY = "alias/aws/secretsmanager"
SHORTEST, LONGEST = timedelta(days=7), timedelta(days=30)
# Clocks of two machines, and the time between reckoning a date and sending it.
_TOLERANCE = timedelta(minutes=5)
_LASTING = ("secretName", "region")


@on("create", "update")
def keeps_its_name(transition: Transition) -> None:
    """A secret is found by its name in AWS: that is what the resource is called after, for good."""
    for field in _LASTING if transition.operation == "update" else ():
        if changed(transition, field):
            raise transition.invalid(f"spec.{field}", "cannot be changed; make another secret")
    name, spec = transition.key.name, spec_of(transition.after)
    secret, region = spec.get("secretName") or name, spec.get("region") or ""
    if (wanted := resource_name(secret, region)) != name:
        where = f" in {region}" if region else ""
        text = f"the ManagedSecret of {secret}{where} has to be called {wanted}, not {name}"
        raise transition.invalid("metadata.name", text)


@on("create", "update")
def keeps_its_window(transition: Transition) -> None:
    """A new deletion date is 7 to 30 days ahead."""
    wanted = spec_of(transition.after).get("deletionDate")
    if wanted is None or not changed(transition, "deletionDate"):
        return
    now = transition.now
    if not now + SHORTEST - _TOLERANCE <= datetime.fromisoformat(wanted) <= now + LONGEST + _TOLERANCE:
        text = f"must be 7 to 30 days ahead, {_day(now + SHORTEST)} to {_day(now + LONGEST)}; {wanted} is not"
        raise transition.invalid("spec.deletionDate", text)


@on("delete")
def outlives_mistakes(transition: Transition) -> None:
    """Values that are lost are lost for good."""
    if transition.cascade or transition.by == SECRETS_MANAGER or not status_of(transition.before).get("versions"):
        return
    name, namespace = transition.key.name, transition.key.namespace
    date = _day(transition.now + SHORTEST + _TOLERANCE)
    patch = f'{{"spec":{{"deletionDate":"{date}"}}}}'
    text = (
        "it has versions, so it is deleted by a date 7 to 30 days ahead: "
        f"kubectl patch managedsecret {name} -n {namespace} --type=merge -p '{patch}' "
        "or: aws secretsmanager delete-secret (with --force-delete-without-recovery: at once)"
    )
    raise transition.conflict("SecretHasVersions", text)


@on("create", "update", "delete")
def is_written_by_secrets_manager(transition: Transition) -> None:
    """What a version holds is made by secrets-manager; whoever could exchange it would choose others' passwords."""
    if transition.by == SECRETS_MANAGER or (transition.operation == "delete" and _ends_with_its_secret(transition)):
        return
    raise transition.forbidden("versions of secrets are written by secrets-manager alone")


def key_names(secret: Body) -> Iterable[str]:
    """The KMS keys it names, and those that its versions are sealed with."""
    versions = status_of(secret).get("versions") or ()
    return [spec_of(secret).get("kmsKeyId") or DEFAULT_KEY, *(each.get("key") or "" for each in versions)]


KEYS = Reference("keys", key_names)


def _ends_with_its_secret(transition: Transition) -> bool:
    return transition.cascade or transition.by == CONDUCTOR


def _day(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
