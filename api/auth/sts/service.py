"""The parts of STS, made together: for the routes that services ask, and for workloads that have a role."""

from __future__ import annotations

from collections.abc import Iterable

from api.auth.accounts import Accounts
from api.auth.authorizer import Authorizer
from api.auth.derived_secrets import DerivedSecrets
from api.auth.iam_policies import IamPolicies
from api.auth.oidc.keys import Fetch
from api.auth.sts.authorization_messages import AuthorizationMessages
from api.auth.sts.callers import StsCallers
from api.auth.sts.role_sessions import RoleSessions
from api.auth.sts.service_roles import ServiceRoles
from api.auth.sts.trust import RoleTrust
from api.auth.sts.user_sessions import UserSessions
from api.auth.sts.web_identity import WebIdentities
from api.auth.sts.workloads import WorkloadRoles
from api.auth.tokens import Tokens
from controller.kit.clock import Clock
from controller.store.records import Store
from crds.managed import ManagedService


class SecurityTokens:
    """One per process. `policies`: what IAM says of callers, sessions included. `fetch`: see `WebIdentities`.
    `services`: those that are managed.
    """

    def __init__(
        self,
        store: Store,
        accounts: Accounts,
        tokens: Tokens,
        authorizer: Authorizer,
        derived: DerivedSecrets,
        clock: Clock,
        fetch: Fetch | None = None,
        services: Iterable[ManagedService] = (),
    ) -> None:
        self.accounts, self.temporary = accounts, accounts.temporary
        self.policies = IamPolicies(store, accounts.temporary)
        self.callers, self.messages = StsCallers(accounts, self.policies), AuthorizationMessages(derived)
        self.trust = RoleTrust(store, self.policies, authorizer, clock)
        self.roles = RoleSessions(self.trust, self.temporary, self.messages, clock)
        self.web = WebIdentities(store, accounts, tokens, self.trust, self.roles, clock, fetch)
        self.workloads = WorkloadRoles(store, derived, self.trust, self.roles, self.temporary, clock)
        self.services = ServiceRoles(self.trust, self.roles, clock, services)
        self.users = UserSessions(self.policies, self.temporary, clock)
