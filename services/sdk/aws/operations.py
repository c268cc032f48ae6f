"""An AWS operation as its handler declares it: its name, what it asks of its caller, which members it honours.

    class KeyOperations:
        @operation("EnableKey", permission=("patch", KEY), understands=("KeyId",))
        async def enable_key(self, call: RequestContext, request: dict[str, Any]) -> dict[str, Any]: ...

`AwsApp` serves what is declared and nothing else; tests read the same declarations.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

from crds.kind import Kind
from services.sdk.aws.caller_policies import CallerPolicies
from services.sdk.aws.model import ServiceModel
from services.sdk.aws.policy.context import Given
from services.sdk.aws.resource_names import DEFAULT_REGION
from services.sdk.aws.service_callers import NO_SOURCE, Source
from services.sdk.identity import Caller
from services.sdk.permissions import Permission

Handler = Callable[["RequestContext", dict[str, Any]], Awaitable[dict[str, Any] | None]]
F = TypeVar("F", bound=Callable[..., Awaitable[Any]])
_MARK = "__aws_operation__"
_NO_FACTS: Mapping[str, Given] = MappingProxyType({})


async def _never() -> None:
    await asyncio.get_running_loop().create_future()


@dataclass(frozen=True, slots=True)
class Operation:
    """permission: None asks for nothing. understands: the members that are honoured or judged by their value; None
    leaves that to the handler.
    """

    name: str
    permission: Permission | None
    understands: frozenset[str] | None


class RequestContext(NamedTuple):
    """The caller, region and account of a request: everything about a request that is not its content.

    `asked`: the permissions that were asked for, each as verb, kind and name. An operation that answers without
    having asked for its own is stopped. `action`: what policies call it (`iam:GetUser`); `resource`: the ARN it is
    about, if the service says so; `facts`: what the service says of the request to conditions; `policies`: those IAM
    has for the caller. `origin`, `path`: of the URL the client asked (`https://cloud:7443`, `/1234/orders`).
    `left` returns when the client has gone: ask it only once. `source`: what a service calls for. A tuple, for one or
    two are made for every call, and `_replace` takes a fourth of what a frozen dataclass does.
    """

    caller: Caller
    region: str
    account: str
    request_id: str
    declared: Operation
    asked: list[tuple[str, str, str]]
    action: str = ""
    resource: str = ""
    facts: Mapping[str, Given] = _NO_FACTS
    policies: CallerPolicies | None = None
    origin: str = ""
    path: str = "/"
    left: Callable[[], Awaitable[None]] = _never
    source: Source = NO_SOURCE

    @property
    def namespace(self) -> str:
        return self.caller.namespace

    def sees(self, region: str) -> bool:
        """Whether what is in that region is seen in the caller's; what has none is seen in every one."""
        return region in ("", self.region) or (region == DEFAULT_REGION and not self.region)

    @property
    def operation(self) -> str:
        return self.declared.name

    @property
    def permission(self) -> Permission:
        """Raises LookupError for an operation that declared none."""
        if self.declared.permission is None:
            raise LookupError(f"{self.operation} declares no permission")
        return self.declared.permission


def operation(
    name: str, *, permission: tuple[str, Kind[Any]] | None, understands: Iterable[str] | None = None
) -> Callable[[F], F]:
    """Declare a method as the handler of that operation of the model."""
    wanted = None if permission is None else Permission(*permission)
    declared = Operation(name, wanted, None if understands is None else frozenset(understands))

    def mark(method: F) -> F:
        setattr(method, _MARK, declared)
        return method

    return mark


def declared_operations(*classes: type) -> dict[str, Operation]:
    """What these classes declare, by name. Raises ValueError for what is declared twice."""
    return {name: declared for name, (declared, _) in _marked(classes).items()}


def handlers_of(*objects: object) -> dict[str, tuple[Operation, Handler]]:
    """The declared methods of these objects, by the operation's name. Raises ValueError."""
    found: dict[str, tuple[Operation, Handler]] = {}
    for each in objects:
        for name, (declared, attribute) in _marked([type(each)]).items():
            if name in found:
                raise ValueError(f"{name} is declared twice")
            found[name] = (declared, getattr(each, attribute))
    return found


def require_modelled(model: ServiceModel, declared: Iterable[Operation]) -> None:
    """Raises LookupError for an operation or a member that the model does not have."""
    for each in declared:
        if each.name not in model.operations:
            raise LookupError(f"{model.name} has no operation {each.name}")
        shape = model.input_of(each.name)
        members = set(model.shapes[shape].get("members", {})) if shape else set()
        if surplus := sorted((each.understands or frozenset()) - members):
            raise LookupError(f"{each.name} has no member {', '.join(surplus)}")


def _marked(classes: Iterable[type]) -> dict[str, tuple[Operation, str]]:
    found: dict[str, tuple[Operation, str]] = {}
    for each in classes:
        for attribute in dir(each):
            declared = getattr(getattr(each, attribute), _MARK, None)
            if declared is None:
                continue
            if declared.name in found:
                raise ValueError(f"{declared.name} is declared twice")
            found[declared.name] = (declared, attribute)
    return found
