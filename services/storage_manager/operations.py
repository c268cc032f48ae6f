"""An S3 operation as its handler declares it: its name, what it asks of its caller, which members it honours.

    @operation("GetBucketTagging", action="s3:GetBucketTagging", verb="list")
    async def get_tagging(context: S3Context, request: S3Request) -> S3Response: ...

`handlers.py` lists the modules whose declarations are served; what is declared nowhere answers `NotImplemented`.
Members that stand in a header or in the query and are not named in `understands` are refused where they are given;
those in the body are the handler's to check (`request.params()` reads a body by the model, and refuses what the
model does not have). `verb` is what Kubernetes RBAC calls it, on `buckets`; `source` that on the bucket copied from.
Where a KMS key was named (by the request or by the bucket), `uses_key` needs `use` on that Key as well.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from services.sdk.aws.model import ServiceModel
from services.sdk.aws.protocols.shapes import ShapeRef, input_ref

if TYPE_CHECKING:
    from services.storage_manager.context import S3Context, S3Request, S3Response

Verb = Literal["get", "list", "create", "update", "delete"]
Handler = Callable[["S3Context", "S3Request"], Awaitable["S3Response"]]
F = TypeVar("F", bound=Callable[..., Awaitable[Any]])
_MARK = "__s3_operations__"
# Everywhere: the address, the guard of the bucket's owner, and what `RequestBody` checks.
ALWAYS = frozenset({"Bucket", "Key", "ExpectedBucketOwner", "ContentMD5", "ContentLength", "RequestPayer"})


@dataclass(frozen=True, slots=True)
class S3Operation:
    """`action` as IAM writes it."""

    name: str
    action: str
    verb: Verb
    source: Verb | None
    understands: frozenset[str]
    uses_key: bool
    handler: Handler

    def refused_members(self, model: ServiceModel) -> tuple[str, ...]:
        """Members of the model that are refused when they are given."""
        return tuple(name for name, each in _members(model, self.name).items() if not self._understands(name, each))

    def headers(self, model: ServiceModel) -> frozenset[str]:
        """Names of headers that are understood; one that ends with `-` stands for all that begin so."""
        return frozenset(_place(each).lower() for each in self._placed(model, "header", "headers"))

    def query(self, model: ServiceModel) -> frozenset[str]:
        """Names of query members that are understood, but for those that choose the operation."""
        return frozenset(_place(each) for each in self._placed(model, "querystring"))

    def require_modelled(self, model: ServiceModel) -> None:
        """Raises LookupError for an operation or a member that the model does not have."""
        if self.name not in model.operations:
            raise LookupError(f"S3 has no operation {self.name}")
        if surplus := sorted(self.understands - set(_members(model, self.name))):
            raise LookupError(f"{self.name} has no member {', '.join(surplus)}")

    def _placed(self, model: ServiceModel, *places: str) -> Iterable[ShapeRef]:
        named = {name: each for name, each in _members(model, self.name).items() if self._understands(name, each)}
        return (each for each in named.values() if each.trait("location") in places)

    def _understands(self, name: str, member: ShapeRef) -> bool:
        if member.trait("location") not in ("header", "headers", "querystring"):
            return True
        return name in ALWAYS or name in self.understands or _place(member) == "x-amz-sdk-checksum-algorithm"


def operation(
    name: str,
    *,
    action: str,
    verb: Verb,
    source: Verb | None = None,
    understands: Iterable[str] = (),
    uses_key: bool = False,
) -> Callable[[F], F]:
    """Declare a function as the handler of that operation; of several, where it is said several times."""

    def mark(handler: F) -> F:
        declared = S3Operation(name, action, verb, source, frozenset(understands), uses_key, handler)
        setattr(handler, _MARK, (*getattr(handler, _MARK, ()), declared))
        return handler

    return mark


def declared_in(*modules: ModuleType) -> dict[str, S3Operation]:
    """What the functions of these modules declare, by name. Raises ValueError for what is declared twice."""
    found: dict[str, S3Operation] = {}
    for module in modules:
        for each in vars(module).values():
            if getattr(each, "__module__", "") != module.__name__:
                continue
            for declared in getattr(each, _MARK, ()):
                if declared.name in found:
                    raise ValueError(f"{declared.name} is declared twice")
                found[declared.name] = declared
    return found


def _members(model: ServiceModel, operation: str) -> dict[str, ShapeRef]:
    ref = input_ref(model, operation)
    return ref.members if ref else {}


def _place(member: ShapeRef) -> str:
    return member.location_name or ""
