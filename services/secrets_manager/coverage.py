"""What of AWS Secrets Manager is done here, and why the rest is refused."""

from __future__ import annotations

from services.sdk.aws.coverage import Coverage, served_operations
from services.sdk.aws.model import load_model
from services.secrets_manager.operations import OPERATIONS

COVERAGE = Coverage(
    "secretsmanager",
    served_operations(load_model("secretsmanager"), OPERATIONS),
    refused=(
        ("a secret is in one region of one cloud: there is nowhere to replicate it to", ("Replica", "Replicate")),
        ("a secret has one resource policy, GetResourcePolicy shows it", ("ListResourcePolicies",)),
    ),
    answer="UnknownOperationException",
    notes="Members that are refused answer UnsupportedOperationException when they are given, and change nothing.",
    differences=(
        "What a value may be is told in the order of the model; AWS has another order.",
        "Secrets that `kubectl` made are seen in every region; their ARN says `us-east-1`.",
        "A secret cannot be shared with another account: its policy gives rights to users of its own account alone.",
        "A resource policy gives rights to whom it names, also without a role; a Deny of it wins over every role.",
        "`RotationLambdaARN` is an https address, or the ARN of a function that is built in "
        "(`SecretsManagerRDSPostgreSQLRotationSingleUser` and `...MultiUser`); what has no value cannot be rotated.",
        "`AutomaticallyAfterDays` is counted from the last rotation; without `Duration` a window stays open.",
        "`LastAccessedDate` is the day of the first read; later reads of a day write nothing.",
    ),
)
