"""A managed service that calls an AWS API in its own name, as policies know it (`ManagedService.known_as`).

It says for which account, region and resource it calls, as AWS's services do, so that the policy of a queue or topic
may ask for them (`aws:SourceAccount`, `aws:SourceArn`). People cannot say any of it: the gateway drops it.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from services.sdk.aws.accounts import account_of
from services.sdk.aws.policy import Requester
from services.sdk.aws.policy.context import Given
from services.sdk.aws.sigv4 import RawRequest
from services.sdk.discovery import managed_services
from services.sdk.identity import Caller

REGION, SOURCE_ARN = "X-Aerekos-Region", "X-Aerekos-Source-Arn"


class Source(NamedTuple):
    """What a service calls for: in which region, and for which resource; empty where it does not say."""

    region: str = ""
    arn: str = ""


NO_SOURCE = Source()


def source_of(request: RawRequest, caller: Caller) -> Source:
    """What that service says; nothing of what others say counts."""
    if not caller.service:
        return NO_SOURCE
    return Source(request.header(REGION.lower()) or "", request.header(SOURCE_ARN.lower()) or "")


def requester_of(caller: Caller) -> Requester | None:
    """None for people, and for services that policies know as none of AWS's."""
    principal = _principal_of(caller.service) if caller.service else ""
    return Requester("service", principal) if principal else None


def facts_of(requester: Requester, namespace: str, source: Source) -> dict[str, Given]:
    """What conditions may ask of a service's call."""
    facts: dict[str, Given] = {
        "aws:PrincipalIsAWSService": True,
        "aws:PrincipalServiceName": requester.arn,
        "aws:SourceAccount": account_of(namespace),
    }
    return facts | ({"aws:SourceArn": source.arn} if source.arn else {})


@cache
def _principal_of(service: str) -> str:
    found = next((each for each in managed_services() if each.service_name == service), None)
    return found.known_as if found is not None else ""
