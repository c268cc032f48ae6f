"""What of Amazon RDS is done here, and why the rest is refused."""

from __future__ import annotations

from services.db_manager.rds.operations import OPERATIONS
from services.sdk.aws.coverage import Coverage, served_operations
from services.sdk.aws.model import load_model

COVERAGE = Coverage(
    "rds",
    served_operations(load_model("rds"), OPERATIONS),
    refused=(
        ("a Database is no Aurora cluster", ("DBCluster", "GlobalCluster", "DBShardGroup", "TenantDatabase")),
        ("connections are not pooled by a proxy of their own", ("DBProxy",)),
        ("a version is moved to by a dump and a restore", ("BlueGreen", "CustomDBEngineVersion")),
        ("a cloud has no subnets: a server listens on its machine, or is published there", ("DBSubnetGroup",)),
        ("who may connect is decided by passwords and by namespaces", ("DBSecurityGroup",)),
        ("PostgreSQL has no options of RDS", ("OptionGroup",)),
        ("nothing is reserved, and nothing is paid", ("Reserved", "Capacity", "Purchase")),
        ("events go to nobody by RDS; `kubectl get events --watch` follows them", ("EventSubscription",)),
        ("no service here would take it", ("ActivityStream", "Integration", "Export", "Recommendation")),
    ),
    answer="InvalidAction",
    notes="Members that are refused answer UnsupportedOperationException when they are given, and change nothing.",
    differences=(
        "A DB instance is a Database of the same name: names of instances are unique in an account, not in a region.",
        "Databases that `kubectl` made are seen in every region; their ARN says `us-east-1`.",
        "Replicas are not here yet. What is deleted stays in the trash of its machine for 7 days.",
        "Without `BackupRetentionPeriod` there are no automated backups. They are no snapshots of their own, and go "
        "with their instance.",
        "A restored instance has the password of the one it begins with, where that is still there; else a new one.",
        "`StorageType` is a word, and `AllocatedStorage` what an instance is meant to take: neither limits it.",
        "An instance class limits processors and memory; nothing is reserved for it.",
        "There are no maintenance windows: what is not applied immediately is applied by the next RebootDBInstance "
        "or StartDBInstance.",
        "`Endpoint` is an address of the machine the server runs on. Other machines reach it with "
        "`PubliclyAccessible`, at the `Port` that was chosen.",
        "`postgres` is the server's own superuser: the master user and the database have other names. The master "
        "user owns the database, may make databases, and from version 16 on roles; it is no superuser.",
        "Without `DBName` the database is called as the instance, with `_` for `-`.",
        "Parameters of a group are those of the server itself, without AWS's (`rds.force_ssl`) and without formulas.",
        "Changing the group of an instance has its dynamic parameters count at once.",
        "A new password counts within seconds; connections that are open stay.",
        "Events are kept for an hour.",
    ),
)
