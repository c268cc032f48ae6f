"""Names of log groups and streams: as AWS calls them, as resources, and as ARNs. Light and pure.

Source: Amazon CloudWatch Logs API reference, CreateLogGroup, CreateLogStream; Service Authorization Reference,
"Actions, resources, and condition keys for Amazon CloudWatch Logs".
"""

from __future__ import annotations

from services.sdk.aws.arns import parse_arn
from services.sdk.aws.resource_names import DEFAULT_REGION, resource_name

LONGEST = 512
PUSHED = "loki"
"""The group of what is pushed without naming one."""
_SIGNS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/#")


def group_fault(name: str) -> str | None:
    """Why that is no name of a log group, or None."""
    if not 1 <= len(name) <= LONGEST or not _SIGNS.issuperset(name):
        return f"a log group's name has 1 to {LONGEST} letters, digits, or the signs . _ - / #"
    return "names that begin with aws/ are reserved" if name.startswith("aws/") else None


def stream_fault(name: str) -> str | None:
    """Why that is no name of a log stream, or None."""
    if 1 <= len(name) <= LONGEST and ":" not in name and "*" not in name:
        return None
    return f"a log stream's name has 1 to {LONGEST} characters, none of them : or *"


def service_group(namespace: str, service: str) -> str:
    """The group of a Service: `/aerekos/shop/web`."""
    return f"/aerekos/{namespace}/{service}"


def group_resource(name: str, region: str = "") -> str:
    """What the LogGroup of that name is called."""
    return resource_name(name, region)


def group_arn(region: str, account: str, name: str) -> str:
    """`arn:aws:logs:eu-central-1:111122223333:log-group:/aerekos/default/web`."""
    return f"arn:aws:logs:{region or DEFAULT_REGION}:{account}:log-group:{name}"


def stream_arn(region: str, account: str, group: str, stream: str) -> str:
    """`...:log-group:/aerekos/default/web:log-stream:web-0`."""
    return f"{group_arn(region, account, group)}:log-stream:{stream}"


def group_in(text: str) -> str | None:
    """The name of the group of an ARN, with or without `:*`; None for what is none, and for anything else behind."""
    arn = parse_arn(text)
    if arn is None or arn.service != "logs" or not arn.resource.startswith("log-group:"):
        return None
    name, colon, rest = arn.resource.removeprefix("log-group:").partition(":")
    return name or None if not colon or rest == "*" else None
