"""A secret that was found, and what it says of its versions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import count

from services.sdk.aws.accounts import account_of
from services.secrets_manager.kinds import ManagedSecret, ManagedSecretSpec, VersionStatus
from services.secrets_manager.names import SecretName, ending_of, secret_arn
from services.secrets_manager.stages import CURRENT, PENDING, Stages, holder


@dataclass(frozen=True, slots=True)
class FoundSecret:
    """A secret as it was read."""

    secret: ManagedSecret

    @property
    def name(self) -> str:
        """What the resource is called."""
        return self.secret.metadata.name

    @property
    def label(self) -> str:
        """What AWS calls it."""
        return self.spec.secret_name or self.name

    @property
    def namespace(self) -> str:
        return self.secret.metadata.namespace or "default"

    @property
    def uid(self) -> str:
        return self.secret.metadata.uid or ""

    @property
    def spec(self) -> ManagedSecretSpec:
        return self.secret.spec

    @property
    def tags(self) -> dict[str, str]:
        return self.spec.tags or {}

    @property
    def versions(self) -> list[VersionStatus]:
        return self.secret.status.versions

    @property
    def arn(self) -> str:
        return secret_arn(self.spec.region, account_of(self.namespace), self.label, ending_of(self.uid))

    @property
    def current(self) -> str | None:
        """The id of the current version."""
        return holder(stages_of(self.versions), CURRENT)

    def has_value(self, version_id: str) -> bool:
        """Whether that is a version, and no rotation has yet to make its value."""
        return any(each.version_id == version_id and each.key for each in self.versions)

    def version(self, version_id: str) -> VersionStatus | None:
        return next((each for each in self.versions if each.version_id == version_id), None)

    def is_meant(self, meaning: SecretName) -> bool:
        """Whether that is its name, and the rest of an ARN fits, if there is any."""
        region = self.arn.split(":", 4)[3]
        return (
            self.label == meaning.name
            and meaning.region in ("", region)
            and meaning.ending in ("", ending_of(self.uid))
        )

    def is_in(self, region: str) -> bool:
        """Whether AWS clients find it in that region; services ask in none."""
        return not region or self.spec.region in ("", region)


def unfinished(found: FoundSecret) -> str | None:
    """The version that a rotation has made and not finished: pending, and not the current one."""
    pending = holder(stages_of(found.versions), PENDING)
    return pending if pending != found.current else None


def stages_of(versions: Iterable[VersionStatus]) -> dict[str, frozenset[str]]:
    return {each.version_id: frozenset(each.stages) for each in versions}


def versions_with(
    versions: Iterable[VersionStatus], stages: Stages, now: datetime, keys: Mapping[str, str]
) -> list[VersionStatus]:
    """The versions with these labels; a new one is made now. keys: what new ones are sealed with, by their id."""
    known = {each.version_id: each for each in versions}
    following = count(max((each.number for each in known.values()), default=0) + 1)
    return [
        known[id].model_copy(update={"stages": sorted(labels), "key": known[id].key or keys.get(id, "")})
        if id in known
        else VersionStatus(
            version_id=id, number=next(following), stages=sorted(labels), created_at=now, key=keys.get(id, "")
        )
        for id, labels in stages.items()
    ]
