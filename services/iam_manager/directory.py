"""What IAM knows of an account: read as it is now, and written in the caller's name.

A User of the cloud is a user of IAM too, in the account of its namespace. One of whom IAM never wrote anything has
no policies, no groups and no path.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple, TypeVar

from crds.errors import AlreadyExists, Conflict, NotFound
from crds.kind import Kind, Resource
from crds.kinds.iam import IAM_GROUP, IAM_POLICY, IAM_ROLE, IAM_USER, IamGroup, IamUser, IamUserSpec
from crds.kinds.oidc_provider import OIDC_PROVIDER
from crds.kinds.user import MADE_BY, USER, User, UserSpec
from services.iam_manager import errors
from services.iam_manager.kinds import IAM_ACCOUNT, INSTANCE_PROFILE, IamAccount
from services.sdk.aws.access import CallerAccess
from services.sdk.aws.errors import AwsError
from services.sdk.aws.iam_names import resource_name
from services.sdk.aws.operations import RequestContext
from services.sdk.context import ServiceContext

R = TypeVar("R", bound=Resource[Any, Any])
_ATTEMPTS = 8
ACCOUNT_RECORD = "account"


class _Words(NamedTuple):
    missing: str
    exists: str


_WORDS: dict[str, _Words] = {
    IAM_USER.name: _Words("The user with name {} cannot be found.", "User with name {} already exists."),
    IAM_GROUP.name: _Words("The group with name {} cannot be found.", "Group with name {} already exists."),
    IAM_ROLE.name: _Words("The role with name {} cannot be found.", "Role with name {} already exists."),
    IAM_POLICY.name: _Words(
        "Policy {} was not found.", "A policy called {} already exists. Duplicate names are not allowed."
    ),
    INSTANCE_PROFILE.name: _Words("Instance Profile {} cannot be found.", "Instance Profile {} already exists."),
    OIDC_PROVIDER.name: _Words(
        "OpenIDConnect Provider not found for arn {}", "Provider with url https://{} already exists."
    ),
}


class Directory:
    """One per process. `name`: as IAM calls it."""

    def __init__(self, context: ServiceContext, access: CallerAccess) -> None:
        self._own, self._access = context.resources, access

    async def allow(self, call: RequestContext, name: str = "") -> None:
        """Raises Forbidden unless the caller may do what the operation declares."""
        await self._access.require(call, resource_name(name) if name else "")

    async def find(self, kind: Kind[R], call: RequestContext, name: str) -> R | None:
        try:
            return await self._own.get(kind, resource_name(name), call.namespace)
        except NotFound:
            return None

    async def one(self, kind: Kind[R], call: RequestContext, name: str, shown: str = "") -> R:
        """Raises NoSuchEntity. `shown`: what it is called there, if not by its name."""
        found = await self.find(kind, call, name)
        if found is None:
            raise errors.no_entity(_WORDS[kind.name].missing.format(shown or name))
        return found

    async def all(self, kind: Kind[R], call: RequestContext) -> list[R]:
        listing = await self._own.list(kind, call.namespace)
        return sorted(listing.items, key=lambda each: each.metadata.name)

    async def groups(self, call: RequestContext) -> list[IamGroup]:
        return await self.all(IAM_GROUP, call)

    async def create(self, kind: Kind[R], call: RequestContext, name: str, spec: Any) -> R:
        """Raises EntityAlreadyExists."""
        acting = await self._access.resources_for(call, resource_name(name), call.namespace)
        try:
            return await acting.create(kind, kind.new(resource_name(name), namespace=call.namespace, spec=spec))
        except AlreadyExists:
            raise errors.exists(_WORDS[kind.name].exists.format(name)) from None

    async def change(
        self, kind: Kind[R], call: RequestContext, name: str, change: Callable[[R], None], shown: str = ""
    ) -> R:
        """Change it as it is now, and once more when somebody else has changed it meanwhile."""
        acting = await self._access.resources_for(call, resource_name(name), call.namespace)
        for _ in range(_ATTEMPTS):
            found = await self.one(kind, call, name, shown)
            change(found)
            try:
                return await acting.replace(kind, found)
            except Conflict:
                continue
        raise _changed_all_the_time(name)

    async def delete(self, kind: Kind[R], call: RequestContext, found: R) -> None:
        name = found.metadata.name
        acting = await self._access.resources_for(call, name, call.namespace)
        await acting.delete(kind, name, call.namespace, uid=found.metadata.uid)

    # Users: the IAM side, and the User itself.

    async def user(self, call: RequestContext, name: str) -> IamUser:
        """To look at: it has the uid and the birth of the User. Raises NoSuchEntity."""
        found, person = await self.find(IAM_USER, call, name), await self.person(call, name)
        if found is None and person is None:
            raise errors.no_entity(_WORDS[IAM_USER.name].missing.format(name))
        return _of_person(found, person)

    async def users(self, call: RequestContext) -> list[IamUser]:
        """All of the account, those included of whom IAM never wrote anything."""
        sides = {each.metadata.name: each for each in await self.all(IAM_USER, call)}
        people = [each for each in (await self._own.list(USER)).items if each.spec.namespace == call.namespace]
        found = [_of_person(sides.pop(each.metadata.name, None), each) for each in people]
        return sorted([*found, *sides.values()], key=lambda each: each.spec.user_name)

    async def person(self, call: RequestContext, name: str) -> User | None:
        """The User of that name, if it is of this account."""
        try:
            found = await self._own.get(USER, resource_name(name))
        except NotFound:
            return None
        return found if found.spec.namespace == call.namespace else None

    async def create_user(self, call: RequestContext, spec: IamUserSpec) -> IamUser:
        """The User, who may nothing yet, and its IAM side. Raises EntityAlreadyExists."""
        name = resource_name(spec.user_name)
        acting = await self._access.resources_for(call, name, call.namespace)
        person = USER.new(name, spec=UserSpec(display_name=spec.user_name, namespace=call.namespace))
        person.metadata.labels = {MADE_BY: "iam"}
        try:
            person = await acting.create(USER, person)
        except AlreadyExists:
            raise errors.exists(_WORDS[IAM_USER.name].exists.format(spec.user_name)) from None
        made = await acting.create(IAM_USER, IAM_USER.new(name, namespace=call.namespace, spec=spec))
        return _of_person(made, person)

    async def change_user(self, call: RequestContext, name: str, change: Callable[[IamUser], None]) -> IamUser:
        """Like `change`; writes the IAM side where there was none."""
        if await self.find(IAM_USER, call, name) is None and (person := await self.person(call, name)) is not None:
            acting = await self._access.resources_for(call, resource_name(name), call.namespace)
            spec = IamUserSpec(user_name=person.metadata.name)
            with suppress(AlreadyExists):  # another request has just written it
                await acting.create(IAM_USER, IAM_USER.new(person.metadata.name, namespace=call.namespace, spec=spec))
        return await self.change(IAM_USER, call, name, change)

    async def delete_user(self, call: RequestContext, found: IamUser) -> None:
        """The IAM side first: what is left when this breaks off is a User who may nothing."""
        name = found.metadata.name
        acting = await self._access.resources_for(call, name, call.namespace)
        if await self.find(IAM_USER, call, name) is not None:
            await acting.delete(IAM_USER, name, call.namespace)
        if await self.person(call, name) is not None:
            await acting.delete(USER, name)

    # The account itself.

    async def account(self, call: RequestContext) -> IamAccount:
        found = await self.find(IAM_ACCOUNT, call, ACCOUNT_RECORD)
        return found or IAM_ACCOUNT.new(ACCOUNT_RECORD, namespace=call.namespace)

    async def change_account(self, call: RequestContext, change: Callable[[IamAccount], None]) -> None:
        """Like `change`; writes what the account says of itself where it said nothing yet."""
        acting = await self._access.resources_for(call, ACCOUNT_RECORD, call.namespace)
        for _ in range(_ATTEMPTS):
            found = await self.account(call)
            change(found)
            try:
                if found.metadata.uid is None:
                    await acting.create(IAM_ACCOUNT, found)
                else:
                    await acting.replace(IAM_ACCOUNT, found)
            except (AlreadyExists, Conflict):
                continue
            return
        raise _changed_all_the_time("The account")


def _changed_all_the_time(name: str) -> AwsError:
    return AwsError("ConcurrentModification", f"{name} is changed by others all the time; try again", 409)


def _of_person(side: IamUser | None, person: User | None) -> IamUser:
    """The IAM side of a User, who is the same before and after IAM first writes something of them."""
    if person is None:
        assert side is not None
        return side
    spec = side.spec if side is not None else IamUserSpec(user_name=person.metadata.name)
    meta = person.metadata.model_copy(update={"namespace": person.spec.namespace})
    return IamUser(api_version=IAM_USER.api_version, kind=IAM_USER.name, metadata=meta, spec=spec)
