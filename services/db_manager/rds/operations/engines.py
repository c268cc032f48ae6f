"""RDS operations about what DB instances there can be: engines, versions, classes, certificates."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from services.db_manager.kinds import DATABASE
from services.db_manager.rds.attributes import LARGEST_GIB, SMALLEST_GIB
from services.db_manager.rds.instance import ENGINE
from services.db_manager.rds.instance_classes import INSTANCE_CLASSES
from services.db_manager.rds.instance_request import STORAGE_TYPES
from services.db_manager.rds.instance_store import InstanceStore
from services.db_manager.rds.pages import PAGED, filtered, page
from services.db_manager.rds.settings_table import families, family_of, major_of
from services.db_manager.rds.views import LICENSE, zone_of
from services.sdk.aws.errors import AwsError
from services.sdk.aws.operations import RequestContext, operation

Json = dict[str, Any]
_MOST_OPTIONS = 1000
# PostgreSQL has one character set and the time zones it has: their lists are empty in AWS, too.
_VERSIONS = (
    "Engine",
    "EngineVersion",
    "DBParameterGroupFamily",
    "DefaultOnly",
    "IncludeAll",
    "ListSupportedCharacterSets",
    "ListSupportedTimezones",
    *PAGED,
)
_VERSION_FILTERS = {
    "db-parameter-group-family": lambda version, value: family_of(version) == value,
    "engine": lambda version, value: value == ENGINE,
    "engine-version": lambda version, value: value == version,
    "status": lambda version, value: value == "available",
}


class EngineOperations:
    """One declared method per operation. Which versions a machine has it tells when it starts one; here are those
    whose settings are known, and those of servers that run.
    """

    def __init__(self, store: InstanceStore) -> None:
        self._store = store

    @operation(
        "DescribeDBEngineVersions",
        permission=("list", DATABASE),
        understands=_VERSIONS,
    )
    async def describe_db_engine_versions(self, call: RequestContext, request: Json) -> Json:
        await self._store.require_all(call, request)
        versions = await self._versions(call, request)
        if family := request.get("DBParameterGroupFamily"):
            versions = [each for each in versions if family_of(each) == family]
        if request.get("DefaultOnly"):
            versions = versions[-1:]
        found = filtered(versions, request, _VERSION_FILTERS)
        shown, more = page(call, request, found, _sortable, _version_view)
        return {"DBEngineVersions": shown, **more}

    @operation(
        "DescribeOrderableDBInstanceOptions",
        permission=("list", DATABASE),
        understands=("Engine", "EngineVersion", "DBInstanceClass", "LicenseModel", "Vpc", *PAGED),
    )
    async def describe_orderable_db_instance_options(self, call: RequestContext, request: Json) -> Json:
        await self._store.require_all(call, request)
        versions = await self._versions(call, request)
        wanted = request.get("DBInstanceClass")
        classes = [each for each in INSTANCE_CLASSES if wanted in (None, "", each)]
        if request.get("LicenseModel") not in (None, "", LICENSE):
            classes = []
        rows = [_option(call, *each) for each in _combinations(versions, classes)]
        shown, more = page(call, request, filtered(rows, request, {}), _option_key, lambda each: each, _MOST_OPTIONS)
        return {"OrderableDBInstanceOptions": shown, **more}

    @operation("DescribeCertificates", permission=("list", DATABASE), understands=("CertificateIdentifier", *PAGED))
    async def describe_certificates(self, call: RequestContext, request: Json) -> Json:
        """Servers have none: their clients speak to them in the clear, with SCRAM passwords."""
        await self._store.require_all(call, request)
        if name := request.get("CertificateIdentifier"):
            raise AwsError("CertificateNotFound", f"Certificate {name} not found.", 404)
        shown, more = page(call, request, [], str, str)
        return {"Certificates": shown, **more}

    async def _versions(self, call: RequestContext, request: Json) -> list[str]:
        """The oldest first: majors, and what servers of this account are."""
        if request.get("Engine") not in (None, "", ENGINE):
            return []
        running = {each.version for each in await self._store.all(call)}
        known = {*map(major_of, families()), *(each for each in running if family_of(each) in families())}
        wanted = request.get("EngineVersion")
        return sorted((each for each in known if wanted in (None, "", each)), key=_sortable)


def _sortable(version: str) -> str:
    return ".".join(part.zfill(4) for part in version.split("."))


def _version_view(version: str) -> Json:
    return {
        "Engine": ENGINE,
        "MajorEngineVersion": version.partition(".")[0],
        "EngineVersion": version,
        "DBParameterGroupFamily": family_of(version),
        "DBEngineDescription": "PostgreSQL",
        "DBEngineVersionDescription": f"PostgreSQL {version}",
        "ValidUpgradeTarget": [],
        "ExportableLogTypes": [],
        "SupportsLogExportsToCloudwatchLogs": False,
        "SupportsReadReplica": False,
        "SupportedFeatureNames": [],
        "Status": "available",
        "SupportsParallelQuery": False,
        "SupportsGlobalDatabases": False,
    }


def _combinations(versions: Iterable[str], classes: Iterable[str]) -> Iterable[tuple[str, str, str]]:
    names = list(classes)
    return ((version, name, kind) for version in versions for name in names for kind in STORAGE_TYPES)


def _option(call: RequestContext, version: str, name: str, kind: str) -> Json:
    return {
        "Engine": ENGINE,
        "EngineVersion": version,
        "DBInstanceClass": name,
        "LicenseModel": LICENSE,
        "AvailabilityZones": [{"Name": zone_of(call.region)}],
        "MultiAZCapable": False,
        "ReadReplicaCapable": False,
        "Vpc": False,
        "SupportsStorageEncryption": False,
        "StorageType": kind,
        "SupportsIops": False,
        "SupportsEnhancedMonitoring": False,
        "SupportsIAMDatabaseAuthentication": False,
        "SupportsPerformanceInsights": False,
        "MinStorageSize": SMALLEST_GIB,
        "MaxStorageSize": LARGEST_GIB,
        "SupportsStorageAutoscaling": False,
        "SupportsKerberosAuthentication": False,
        "SupportedNetworkTypes": ["IPV4"],
    }


def _option_key(row: Json) -> str:
    return f"{_sortable(row['EngineVersion'])} {row['DBInstanceClass']} {row['StorageType']}"
