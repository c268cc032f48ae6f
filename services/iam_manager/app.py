"""Puts iam_manager together: the directory, the operations of IAM and STS, and the two APIs."""

from __future__ import annotations

from services.iam_manager.directory import Directory
from services.iam_manager.errors import as_iam_error, as_sts_error
from services.iam_manager.identities import Identities
from services.iam_manager.judged_resources import JudgedResources
from services.iam_manager.manifest import MANIFEST
from services.iam_manager.operations.access_keys import AccessKeyOperations
from services.iam_manager.operations.account import AccountOperations
from services.iam_manager.operations.attachments import AttachmentOperations
from services.iam_manager.operations.groups import GroupOperations
from services.iam_manager.operations.instance_profiles import InstanceProfileOperations
from services.iam_manager.operations.not_kept import NotKeptOperations
from services.iam_manager.operations.oidc_providers import OidcProviderOperations
from services.iam_manager.operations.policies import PolicyOperations
from services.iam_manager.operations.reports import ReportOperations
from services.iam_manager.operations.roles import RoleOperations
from services.iam_manager.operations.service_linked_roles import ServiceLinkedRoleOperations
from services.iam_manager.operations.simulation import SimulationOperations
from services.iam_manager.operations.ssh_public_keys import SshPublicKeyOperations
from services.iam_manager.operations.users import UserOperations
from services.iam_manager.policy_store import PolicyStore
from services.iam_manager.sts import StsOperations
from services.sdk.aws.access import CallerAccess
from services.sdk.aws.app import AwsApp
from services.sdk.aws.authentication import authenticator_for
from services.sdk.aws.model import load_model
from services.sdk.aws.operations import declared_operations
from services.sdk.aws.signing_names import BySigningName
from services.sdk.context import ServiceContext
from services.sdk.service import Service

OPERATIONS = declared_operations(
    UserOperations,
    GroupOperations,
    RoleOperations,
    ServiceLinkedRoleOperations,
    PolicyOperations,
    AttachmentOperations,
    InstanceProfileOperations,
    OidcProviderOperations,
    AccountOperations,
    SimulationOperations,
    AccessKeyOperations,
    SshPublicKeyOperations,
    NotKeptOperations,
    ReportOperations,
)
STS_OPERATIONS = declared_operations(StsOperations)


def create(context: ServiceContext) -> Service:
    """One directory, for both APIs."""
    access = CallerAccess(context)
    directory = Directory(context, access)
    policies = PolicyStore(directory)
    authenticator = authenticator_for(context, MANIFEST.speaks)
    simulation, keys = SimulationOperations(directory, policies), AccessKeyOperations(context, directory, access)
    handlers = [
        UserOperations(directory, policies, keys),
        GroupOperations(directory),
        RoleOperations(directory, policies),
        ServiceLinkedRoleOperations(directory),
        PolicyOperations(directory, policies, context.clock),
        AttachmentOperations(directory, policies),
        InstanceProfileOperations(directory),
        OidcProviderOperations(directory),
        AccountOperations(directory, policies),
        simulation,
        keys,
        SshPublicKeyOperations(directory, context.clock),
        ReportOperations(directory, keys, simulation, context.clock),
        NotKeptOperations(directory),
    ]
    iam = AwsApp(
        load_model("iam"),
        handlers,
        authenticator,
        translate=as_iam_error,
        judged_resource=JudgedResources(directory, policies).of,
    )
    tokens = StsOperations(context, directory, access, Identities(directory))
    sts = AwsApp(load_model("sts"), [tokens], authenticator, translate=as_sts_error)
    return Service(app=BySigningName(iam, {"sts": sts}))
