"""Names of event buses and rules: in AWS's words, as resources, and as ARNs. Light and pure.

Source: Amazon EventBridge API reference, CreateEventBus, PutRule; Service Authorization Reference, of the same.
"""

from __future__ import annotations

from services.schedule_manager.names import DEFAULT_REGION, group_resource, schedule_resource
from services.sdk.aws.arns import Arn, parse_arn

DEFAULT_BUS = "default"
"""The bus that every account has, though nobody made it."""
PRINCIPAL = "events.amazonaws.com"
_LONGEST_BUS, _LONGEST_RULE = 256, 64
_SIGNS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")


def bus_fault(name: str) -> str | None:
    """Why that is no name of a bus, or None. Those with a slash are of partners, who are not here."""
    if 1 <= len(name) <= _LONGEST_BUS and _SIGNS.issuperset(name):
        return None
    return "the name of an event bus has 1 to 256 letters, digits, or the signs - _ ."


def rule_fault(name: str) -> str | None:
    """Why that is no name of a rule, or of a target in one, or None."""
    if 1 <= len(name) <= _LONGEST_RULE and _SIGNS.issuperset(name):
        return None
    return "a name has 1 to 64 letters, digits, or the signs - _ ."


def bus_resource(name: str, region: str = "") -> str:
    """What the EventBus of that name is called."""
    return group_resource(name, region)


def rule_resource(name: str, bus: str = DEFAULT_BUS, region: str = "") -> str:
    """What the EventRule of that name on that bus is called."""
    return schedule_resource(name, bus, region)


def bus_arn(region: str, account: str, name: str) -> str:
    """`arn:aws:events:eu-central-1:111122223333:event-bus/shop`."""
    return f"arn:aws:events:{region or DEFAULT_REGION}:{account}:event-bus/{name}"


def rule_arn(region: str, account: str, bus: str, name: str) -> str:
    """`arn:aws:events:eu-central-1:111122223333:rule/shop/orders`, without the bus where it is the default one."""
    where = "" if bus == DEFAULT_BUS else f"{bus}/"
    return f"arn:aws:events:{region or DEFAULT_REGION}:{account}:rule/{where}{name}"


def bus_named(text: str) -> str:
    """The name in the ARN of a bus; a text that is no ARN is the name itself."""
    found = parse_arn(text)
    if found is None or found.service != "events":
        return text
    return found.resource.removeprefix("event-bus/")


def rule_named(resource: str) -> tuple[str, str]:
    """The bus and the rule of an ARN's `rule/shop/orders`."""
    bus, slash, name = resource.removeprefix("rule/").rpartition("/")
    return (bus, name) if slash else (DEFAULT_BUS, name)


def resource_of(arn: Arn) -> str:
    """What the EventBus or the EventRule of that ARN is called."""
    if arn.kind == "event-bus":
        return bus_resource(arn.name, arn.region)
    bus, name = rule_named(arn.resource)
    return rule_resource(name, bus, arn.region)
