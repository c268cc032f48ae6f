"""LogGroup: how long lines are kept, and how many. `aws logs create-log-group` and `kubectl apply` both make one."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from crds.kind import Column, Kind, Resource
from crds.meta import Spec, Status
from crds.model import Timestamp
from services.logs_manager.invariants import LINES, LOGS_MANAGER, keeps_its_name
from services.sdk.aws.tags import tag_fault

DEFAULT_RETENTION_DAYS = 14
DEFAULT_BYTES = 1 << 30


class LogGroupSpec(Spec):
    """`groupName`: as AWS calls it (`/aerekos/shop/web`), the resource's own name where it is empty; `region`: where
    AWS clients find it, empty: everywhere; neither may change. `retentionDays`: how long a line is kept; without, two
    weeks. `maxBytes`: what its lines may take on the disk, compressed; above it the oldest go first.
    """

    group_name: str = ""
    region: Annotated[str, Field(max_length=32)] = ""
    retention_days: Annotated[int, Field(ge=1, le=3653)] | None = None
    max_bytes: Annotated[int, Field(ge=1 << 20, le=1 << 40)] = DEFAULT_BYTES
    tags: dict[str, str] | None = None

    @field_validator("tags")
    @classmethod
    def _are_tags(cls, tags: dict[str, str] | None) -> dict[str, str] | None:
        if fault := tag_fault(tags or {}):
            raise ValueError(fault)
        return tags


class LogGroupStatus(Status):
    """What was seen, some minutes ago: `storedBytes` on the disk, and when the oldest and newest line is of."""

    arn: str = ""
    stored_bytes: int = 0
    streams: int = 0
    oldest_at: Timestamp | None = None
    newest_at: Timestamp | None = None


class LogGroup(Resource[LogGroupSpec, LogGroupStatus]):
    spec: LogGroupSpec = Field(default_factory=LogGroupSpec)
    status: LogGroupStatus = Field(default_factory=LogGroupStatus)

    @property
    def group_name(self) -> str:
        """As AWS calls it."""
        return self.spec.group_name or self.metadata.name


LOG_GROUP = Kind(
    name="LogGroup",
    plural="loggroups",
    singular="loggroup",
    short_names=("lg",),
    categories=("all",),
    model=LogGroup,
    description="Log lines that are kept together, over CloudWatch Logs and Loki.",
    invariants=(keeps_its_name,),
    keepers=(LINES,),
    keeper=LOGS_MANAGER,
    columns=(
        Column("Name", "metadata.name"),
        Column("Group", "spec.groupName"),
        Column("Bytes", "status.storedBytes", "integer"),
        Column("Days", "spec.retentionDays", "integer"),
        Column("Newest", "status.newestAt", "date"),
        Column("Streams", "status.streams", "integer", priority=1),
        Column("Oldest", "status.oldestAt", "date", priority=1),
        Column("ARN", "status.arn", priority=1),
        Column("Age", "metadata.creationTimestamp", "date"),
    ),
)
