"""Names of schedules and their groups: in AWS's words, as resources, and as ARNs. Light and pure.

Source: AWS EventBridge Scheduler API reference, CreateSchedule; Service Authorization Reference, of the same.
"""

from __future__ import annotations

import hashlib

from crds.names import label_fault

DEFAULT_GROUP = "default"
"""The group that every account has, though nobody made it."""
DEFAULT_REGION = "us-east-1"
"""Of what was made without one, by `kubectl`; it is seen in every region."""
LONGEST = 64
_SIGNS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyz0123456789")
_BEGINNING = 40


def name_fault(name: str) -> str | None:
    """Why that is no name of a schedule or a group, or None."""
    if 1 <= len(name) <= LONGEST and _SIGNS.issuperset(name):
        return None
    return "a name has 1 to 64 letters, digits, or the signs - _ ."


def group_resource(name: str, region: str = "") -> str:
    """What the ScheduleGroup of that name is called."""
    return _resource_name(name, "", region)


def schedule_resource(name: str, group: str = DEFAULT_GROUP, region: str = "") -> str:
    """What the Schedule of that name in that group is called."""
    return _resource_name(name, group if group != DEFAULT_GROUP else "", region)


def schedule_arn(region: str, account: str, group: str, name: str) -> str:
    """`arn:aws:scheduler:eu-central-1:111122223333:schedule/default/nightly`."""
    return f"arn:aws:scheduler:{region or DEFAULT_REGION}:{account}:schedule/{group or DEFAULT_GROUP}/{name}"


def group_arn(region: str, account: str, name: str) -> str:
    """`arn:aws:scheduler:eu-central-1:111122223333:schedule-group/nightly`."""
    return f"arn:aws:scheduler:{region or DEFAULT_REGION}:{account}:schedule-group/{name}"


def _resource_name(name: str, group: str, region: str) -> str:
    """The name itself, if a resource may have it and nothing else says which one it is; else a readable beginning and
    the hash of the whole.
    """
    region = "" if region == DEFAULT_REGION else region
    if not group and not region and label_fault(name) is None:
        return name
    plain = "".join(each if each in _PLAIN else "-" for each in name.lower())[:_BEGINNING].strip("-")
    digest = hashlib.sha256(f"{region}\x00{group}\x00{name}".encode()).hexdigest()[:12]
    return f"{plain}-{digest}".strip("-")
