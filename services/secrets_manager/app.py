"""Puts secrets_manager together: envelope, store, operations, the Secrets Manager API, and what makes it ready."""

from __future__ import annotations

from services.sdk.aws.access import CallerAccess
from services.sdk.aws.app import AwsApp
from services.sdk.aws.authentication import authenticator_for
from services.sdk.aws.model import load_model
from services.sdk.context import ServiceContext
from services.sdk.health import Check
from services.sdk.outbound import open_outbound
from services.sdk.service import Service
from services.secrets_manager.access_key_api import AccessKeyApi, SignedAccessKeyApi
from services.secrets_manager.access_key_rotator import AccessKeyRotator
from services.secrets_manager.attribution import secret_of
from services.secrets_manager.authorization import SecretAuthorizer
from services.secrets_manager.delivery import SecretDelivery
from services.secrets_manager.envelope import Envelope
from services.secrets_manager.errors import as_secrets_error
from services.secrets_manager.key_client import KeyClient
from services.secrets_manager.manifest import MANIFEST
from services.secrets_manager.metrics import SecretsMetrics
from services.secrets_manager.operations import handlers
from services.secrets_manager.operations.secret_access import SecretAccess
from services.secrets_manager.postgres_rotator import AlternatingPostgresRotator, EngineFinder, PostgresRotator
from services.secrets_manager.reconciler import SecretReconciler
from services.secrets_manager.rotation import Rotations, Rotator
from services.secrets_manager.rotation_targets import ACCESS_KEY, POSTGRES_MULTI_USER, POSTGRES_SINGLE_USER
from services.secrets_manager.secret_store import SecretStore
from services.secrets_manager.sweeper import Sweeper
from services.secrets_manager.vault import VaultKv
from services.secrets_manager.webhooks import WebhookRotator


def create(context: ServiceContext) -> Service:
    """With webhooks over the network, where certificates are the system's."""
    return assembled(context, WebhookRotator(open_outbound()), SignedAccessKeyApi(context))


def assembled(context: ServiceContext, webhooks: Rotator, access_keys: AccessKeyApi) -> Service:
    """One store, for the operations and the reconciler."""
    keys = KeyClient(context.service_client("key-manager"))
    metrics = SecretsMetrics(context.metrics.registry)
    store = SecretStore(context, Envelope(keys, context.clock, metrics))
    engines = EngineFinder(context.resources)
    built_in: dict[str, Rotator] = {
        POSTGRES_SINGLE_USER: PostgresRotator(store, engines),
        POSTGRES_MULTI_USER: AlternatingPostgresRotator(store, engines),
        ACCESS_KEY: AccessKeyRotator(store, access_keys, context.clock),
    }
    rotations = Rotations(store, webhooks, built_in, metrics)
    secrets = SecretAccess(store, SecretAuthorizer(CallerAccess(context), context), context.clock)
    authenticator = authenticator_for(context, MANIFEST.speaks)
    aws = AwsApp(
        load_model("secretsmanager"),
        handlers(secrets),
        authenticator,
        translate=as_secrets_error,
        resource_of=secret_of,
    )
    return Service(
        app=VaultKv(secrets, authenticator, aws),
        reconcilers=[SecretReconciler(store, SecretDelivery(context.resources, store), rotations)],
        # Data keys in memory go on working for minutes.
        checks=[Check("key-manager", lambda: keys.fault, essential=False)],
        tasks=[keys.run, Sweeper(context).run],
    )
