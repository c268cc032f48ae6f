"""What of CloudWatch Logs is done here, and why the rest is refused."""

from __future__ import annotations

from services.logs_manager.operations import OPERATIONS
from services.sdk.aws.coverage import Coverage, served_operations
from services.sdk.aws.model import load_model

COVERAGE = (
    Coverage(
        "logs",
        served_operations(load_model("logs"), OPERATIONS),
        refused=(
            ("nothing here looks for anomalies", ("Anomal",)),
            ("no lines are delivered to other services", ("Delivery", "Deliveries", "Destination", "ExportTask")),
            ("no lines are handed on as they come", ("Subscription", "AccountPolic", "IndexPolic", "FieldIndex")),
            ("lines become no metrics", ("MetricFilter",)),
            ("nothing is masked", ("DataProtection",)),
            ("lines stay as they were written", ("Transformer",)),
        ),
        answer="UnknownOperationException",
        differences=(
            "A group without a retention keeps lines for 14 days, and 1 GiB of them compressed (`maxBytes` of the "
            "LogGroup); AWS keeps them for ever. What is older is refused as expired.",
            "Groups of Services, `/aerekos/<namespace>/<service>`, make themselves; a stream is an instance.",
            "Groups that `kubectl` or a Service made are seen in every region.",
            "Terms of filter patterns are found anywhere in a line; patterns for space-delimited lines are refused, "
            "as is `?term` beside other terms.",
            "`kmsKeyId` is refused: lines lie in the service's own file, which backups encrypt.",
            "A line has at most 262,144 bytes. `lastIngestionTime` of a stream is the time of its newest line.",
            "A group that was deleted may be made again at once where its lines have gone, which takes a moment.",
        ),
    ),
)
