"""The caller of STS: who IAM says they are, and what a session made for them hangs on."""

from __future__ import annotations

from typing import NamedTuple

from api.auth.accounts import Accounts
from api.auth.iam_policies import IamPolicies
from api.auth.principal import Principal
from api.auth.sts.refusals import denied
from api.auth.temporary_credentials import is_temporary
from crds.kinds.temporary_credential import Anchor, TemporaryCredentialSpec
from services.sdk.aws.caller_policies import CallerPolicies, known_caller


class StsCaller(NamedTuple):
    """`iam`: as policies name them; `session`: of the temporary credentials they call with, if they do."""

    who: Principal
    iam: CallerPolicies
    session: TemporaryCredentialSpec | None
    anchors: list[Anchor]

    @property
    def in_role(self) -> bool:
        return self.session is not None and self.session.session == "AssumedRole"

    @property
    def parents(self) -> list[str]:
        """The temporary keys that a session of theirs is made with."""
        return [self.session.access_key_id, *self.session.parents] if self.session is not None else []

    @property
    def transitive_tags(self) -> dict[str, str]:
        """The tags that a session of theirs inherits."""
        if self.session is None:
            return {}
        return {name: self.session.tags[name] for name in self.session.transitive_tags if name in self.session.tags}


class StsCallers:
    """One per process."""

    def __init__(self, accounts: Accounts, policies: IamPolicies) -> None:
        self._accounts, self._policies = accounts, policies

    def caller(self, who: Principal) -> StsCaller:
        """Raises Forbidden for those IAM does not know: services, workers and service accounts."""
        iam, key = known_caller(self._policies.of(who)), self._key(who)
        if iam is None:
            raise denied(f"{who.name} is no user and no session of IAM")
        if is_temporary(key):
            session = self._accounts.temporary.find(key).spec
            return StsCaller(who, iam, session, list(session.anchors))
        user = self._accounts.people.present(who.name)
        anchors = [Anchor(kind="User", name=who.name, uid=user.metadata.uid or "")]
        if key:
            anchors.append(Anchor(kind="AccessKey", name=key))
        return StsCaller(who, iam, None, anchors)

    @staticmethod
    def _key(who: Principal) -> str:
        return str(who.proof.binding.get("akid", "")) if who.proof is not None else ""
