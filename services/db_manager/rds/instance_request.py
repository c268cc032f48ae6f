"""Members of a request about a DB instance, as parts of a Database. Pure: what cannot be had is refused, in words.

Source: Amazon RDS API reference, CreateDBInstance, ModifyDBInstance.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, get_args

from crds.kinds.service import ResourceLimits
from crds.kinds.worker import Amounts
from services.db_manager.kinds import BackupPolicy, Exposure
from services.db_manager.names import sql_name_fault
from services.db_manager.rds import errors
from services.db_manager.rds.attributes import LARGEST_GIB, SMALLEST_GIB, StorageType
from services.db_manager.rds.instance import ENGINE
from services.db_manager.rds.instance_classes import INSTANCE_CLASSES
from services.db_manager.rds.settings_table import families, family_of
from services.db_manager.rds.views import LICENSE, zone_of
from services.sdk.aws.tags import require_tags, tags_of

Json = dict[str, Any]
STORAGE_TYPES: tuple[StorageType, ...] = get_args(StorageType)
LEAST_PORT, MOST_PORT = 1150, 65_535
_SHORTEST_PASSWORD, _LONGEST_PASSWORD = 8, 128
_NOT_IN_PASSWORDS = frozenset('/"@ ')
_MOST_DAYS = 35
_DIGITS = frozenset("0123456789")


class OnlyValue(NamedTuple):
    """The one value a member may have here, and why."""

    value: Any
    because: str


ONLY: Mapping[str, OnlyValue] = {
    "AutoMinorVersionUpgrade": OnlyValue(
        True, "a minor version that is installed on the machine is taken at the next start"
    ),
    "LicenseModel": OnlyValue(LICENSE, "PostgreSQL has no other"),
    "MultiAZ": OnlyValue(False, "members of a Database are on one machine yet"),
    "NetworkType": OnlyValue("IPV4", "nothing else is listened on"),
    "MaxAllocatedStorage": OnlyValue(0, "storage is the machine's, and grows by itself"),
    "MonitoringInterval": OnlyValue(0, "there is no enhanced monitoring; metrics are at /metrics"),
}
ONLY_NAMES = tuple(ONLY)


def require_possible(request: Json, region: str) -> None:
    """Raises InvalidParameterValue for what a DB instance cannot have here."""
    for name, only in ONLY.items():
        if name in request and request[name] != only.value:
            shown = str(only.value).lower() if isinstance(only.value, bool) else only.value
            raise errors.invalid_value(f"{name} can only be {shown} here: {only.because}.")
    zone = request.get("AvailabilityZone")
    if zone and zone != zone_of(region):
        raise errors.invalid_value(f"AvailabilityZone can only be {zone_of(region)}: a cloud has one zone.")


def engine_version(request: Json) -> str | None:
    """The version that was asked for. Raises InvalidParameterCombination, InvalidParameterValue."""
    engine = request.get("Engine") or ENGINE
    if engine != ENGINE:
        raise errors.invalid_value(
            f"Value {engine} for parameter Engine is invalid. Reason: engine {engine} not supported; {ENGINE} is"
        )
    version = request.get("EngineVersion") or ""
    if not version:
        return None
    parts = version.split(".")
    if (
        len(parts) > 2
        or not all(part and _DIGITS.issuperset(part) for part in parts)
        or (family_of(version) not in families())
    ):
        raise errors.invalid_combination(f"Cannot find version {version} for {ENGINE}")
    return str(version)


def instance_class(name: str) -> str:
    """Raises InvalidParameterValue for a class that is not here."""
    if name not in INSTANCE_CLASSES:
        raise errors.invalid_value(f"Invalid DB Instance class: {name}")
    return name


def limits_of(name: str) -> ResourceLimits:
    """What a class may use at most; nothing is reserved for it."""
    found = INSTANCE_CLASSES[name]
    return ResourceLimits(limits=Amounts(cpu=str(found.cpus), memory=f"{found.memory}Mi"))


def storage_gib(size: int | None, kind: str) -> int:
    """Raises InvalidParameterValue for a size that no disk of that kind has."""
    if size is None:
        raise errors.missing("The request must contain the parameter AllocatedStorage")
    if not SMALLEST_GIB <= size <= LARGEST_GIB:
        raise errors.invalid_value(f"Invalid storage size for engine name {ENGINE} and storage type {kind}: {size}")
    return size


def storage_type(request: Json, default: StorageType) -> StorageType:
    """Raises InvalidParameterValue for disks that promise what none here does."""
    asked = request.get("StorageType") or default
    kind = next((each for each in STORAGE_TYPES if each == asked), None)
    if kind is None:
        known = ", ".join(STORAGE_TYPES)
        raise errors.invalid_value(
            f"Invalid storage type: {asked}. Here no disk promises anything; {known} are taken."
        )
    return kind


def master_username(name: str | None) -> str:
    """Raises MissingParameter, InvalidParameterValue."""
    if not name:
        raise errors.missing("The request must contain the parameter MasterUsername")
    return _sql_name("MasterUsername", name)


def database_name(name: str | None) -> str | None:
    """Raises InvalidParameterValue."""
    return _sql_name("DBName", name) if name else None


def _sql_name(member: str, name: str) -> str:
    if sql_name_fault(name):
        raise errors.invalid_value(f"{member} {name} cannot be used as it is a reserved word used by the engine")
    begins = name[:1].isalpha() or name[:1] == "_"
    if (
        len(name) > 63
        or not begins
        or not name.isascii()
        or name != name.lower()
        or not name.replace("_", "").isalnum()
    ):
        raise errors.invalid_value(
            f"{member} must begin with a letter and contain only small letters, digits and underscores, at most 63"
        )
    return name


def master_password(password: str | None) -> str:
    """Raises MissingParameter, InvalidParameterValue: the password is in no message."""
    if not password:
        raise errors.missing("The request must contain the parameter MasterUserPassword")
    if not _SHORTEST_PASSWORD <= len(password) <= _LONGEST_PASSWORD:
        raise errors.invalid_value(
            "The parameter MasterUserPassword is not a valid password because it is "
            f"{'shorter' if len(password) < _SHORTEST_PASSWORD else 'longer'} than "
            f"{_SHORTEST_PASSWORD if len(password) < _SHORTEST_PASSWORD else _LONGEST_PASSWORD} characters."
        )
    if not password.isascii() or not password.isprintable() or not _NOT_IN_PASSWORDS.isdisjoint(password):
        raise errors.invalid_value(
            "The parameter MasterUserPassword is not a valid password. Only printable ASCII characters besides "
            "'/', '@', '\"', ' ' may be used."
        )
    return password


def exposure(public: bool, port: int | None) -> Exposure | None:
    """Where clients of other machines reach it. Raises AwsError for a port without them, and for one too low."""
    if not public:
        if port is not None:
            raise errors.invalid_combination(
                "Port can only be chosen for an instance that is PubliclyAccessible: others get one of their machine"
            )
        return None
    port = 5432 if port is None else port
    if not LEAST_PORT <= port <= MOST_PORT:
        raise errors.invalid_value(f"Invalid port {port}: it must be between {LEAST_PORT} and {MOST_PORT}")
    return Exposure(port=port)


def backup_policy(days: int | None, present: BackupPolicy | None) -> BackupPolicy | None:
    """What it is with that BackupRetentionPeriod; none given: as it is. Raises InvalidParameterValue."""
    if days is None:
        return present
    if not 0 <= days <= _MOST_DAYS:
        raise errors.invalid_value(f"Invalid backup retention period: {days}. Must be between 0 and {_MOST_DAYS}")
    if not days:
        return None
    return (present or BackupPolicy()).model_copy(update={"retention_days": days})


def given_tags(request: Json) -> dict[str, str]:
    """Raises InvalidParameterValue."""
    try:
        found = tags_of([{"Value": "", **each} for each in request.get("Tags") or () if each.get("Key")])
    except ValueError as wrong:
        raise errors.invalid_value(str(wrong)) from None
    require_tags(found, "InvalidParameterValue")
    return found
