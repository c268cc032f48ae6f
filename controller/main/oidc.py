"""The OpenID Connect issuer this cloud trusts, as the settings name it."""

from __future__ import annotations

from api.auth.accounts import Accounts
from api.auth.oidc.login import Federation, federation_of
from api.auth.oidc.options import OidcOptions, read_required
from controller.kit.clock import Clock
from controller.main.errors import Misuse
from controller.main.settings import Settings
from controller.resources.registry import Registry


def oidc_options(settings: Settings) -> OidcOptions | None:
    """None when no issuer is named. Raises Misuse for one that cannot be trusted."""
    if not settings.oidc_issuer:
        return None
    try:
        return OidcOptions(
            issuer=settings.oidc_issuer,
            client_id=settings.oidc_client_id,
            username_claim=settings.oidc_username_claim,
            username_prefix=settings.oidc_username_prefix,
            groups_claim=settings.oidc_groups_claim,
            groups_prefix=settings.oidc_groups_prefix,
            required_claims=read_required(settings.oidc_required_claim),
            algorithms=tuple(each.strip() for each in settings.oidc_signing_algs.split(",")),
            ca=settings.oidc_ca_file,
            create_users=settings.oidc_create_users == "yes",
        )
    except ValueError as error:
        raise Misuse(f"the settings oidc_*: {error}", hint="docs/hardening.md shows them") from error


def federation(
    options: OidcOptions | None, registry: Registry, accounts: Accounts, clock: Clock, *, create_users: bool
) -> Federation | None:
    """The login by ID tokens, as `federation_of`; None without an issuer."""
    if options is None:
        return None
    return federation_of(options, registry, accounts.people, accounts.sessions, clock, create_users=create_users)
