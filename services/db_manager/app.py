"""Puts db_manager together: one reconciler for servers, one for the users in them."""

from __future__ import annotations

from services.db_manager.backup_reconciler import BackupReconciler
from services.db_manager.backups.archiving import Archiving
from services.db_manager.backups.database_archive import DatabaseArchives
from services.db_manager.backups.database_restore import DatabaseRestores
from services.db_manager.backups.places import BackupPlaces
from services.db_manager.credentials import CredentialsSecret
from services.db_manager.kinds import DATABASE
from services.db_manager.manifest import MANIFEST
from services.db_manager.members.group import Groups
from services.db_manager.members.looking import MemberLooks
from services.db_manager.metrics import DatabaseMetrics
from services.db_manager.owned import OwnedResources
from services.db_manager.rds.errors import as_rds_error
from services.db_manager.rds.group_reconciler import ParameterGroupReconciler
from services.db_manager.rds.operations import handlers
from services.db_manager.reconciler import DatabaseReconciler
from services.db_manager.user_kinds import DATABASE_USER
from services.db_manager.user_reconciler import UserReconciler
from services.sdk.aws.app import AwsApp
from services.sdk.aws.authentication import authenticator_for
from services.sdk.aws.model import load_model
from services.sdk.context import ServiceContext
from services.sdk.service import Service


def create(context: ServiceContext) -> Service:
    """A Database is asked for by the resource API, or as a DB instance by that of RDS."""
    own, metrics = context.resources, DatabaseMetrics(context.metrics.registry)
    places, archiving = BackupPlaces(context), Archiving(context.clock)
    archives, restores = DatabaseArchives(places, archiving, own), DatabaseRestores(places, own)
    groups = Groups(own, MemberLooks())
    backups = BackupReconciler(archives, places, own)
    rds = AwsApp(
        load_model("rds"), handlers(context), authenticator_for(context, MANIFEST.speaks), translate=as_rds_error
    )
    return Service(
        app=rds,
        reconcilers=[
            DatabaseReconciler(
                OwnedResources(own), CredentialsSecret(own, DATABASE), own, metrics, archives, restores, groups
            ),
            UserReconciler(CredentialsSecret(own, DATABASE_USER), own),
            ParameterGroupReconciler(own),
            backups,
        ],
        on_stop=[groups.close, archiving.close, restores.close, backups.close],
    )
