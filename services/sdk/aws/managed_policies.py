"""Policies that every account has, under the names AWS gives them (`arn:aws:iam::aws:policy/AdministratorAccess`).

Not AWS's documents: each says in few words what its name promises.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from services.sdk.aws.iam_names import AWS_MANAGED
from services.sdk.aws.service_linked_roles import LINKED_ROLES, POLICY_PATH

Json = dict[str, Any]
_READ = ("Get*", "List*", "Describe*")


def _allow(*actions: str, **more: Any) -> Json:
    return {"Effect": "Allow", "Action": list(actions), "Resource": "*"} | more


def _reading(*services: str) -> Json:
    return _allow(*(f"{service}:{verb}" for service in services for verb in _READ))


_STATEMENTS: dict[str, list[Json]] = {
    "AdministratorAccess": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
    "PowerUserAccess": [
        {"Effect": "Allow", "NotAction": ["iam:*", "organizations:*", "account:*"], "Resource": "*"},
        _allow("iam:ListRoles", "iam:GetRole", "iam:CreateServiceLinkedRole", "iam:DeleteServiceLinkedRole"),
    ],
    "ReadOnlyAccess": [
        _reading("iam", "kms", "rds", "s3", "secretsmanager", "sqs", "sns", "sts", "logs", "cloudwatch")
    ],
    "ViewOnlyAccess": [
        _allow("iam:List*", "kms:List*", "s3:List*", "secretsmanager:List*", "sqs:List*", "sns:List*")
    ],
    "SecurityAudit": [_reading("iam", "kms"), _allow("s3:GetBucket*", "s3:List*", "sts:GetCallerIdentity")],
    "IAMFullAccess": [_allow("iam:*")],
    "IAMReadOnlyAccess": [_allow("iam:Get*", "iam:List*", "iam:Generate*", "iam:Simulate*")],
    "IAMUserChangePassword": [_allow("iam:ChangePassword", "iam:GetAccountPasswordPolicy")],
    "AmazonS3FullAccess": [_allow("s3:*", "s3-object-lambda:*")],
    "AmazonS3ReadOnlyAccess": [_reading("s3")],
    "AWSLambdaExecute": [
        _allow("logs:*", Resource="arn:aws:logs:*:*:*"),
        _allow("s3:GetObject", "s3:PutObject", Resource="arn:aws:s3:::*"),
    ],
    "AWSKeyManagementServicePowerUser": [
        _allow("kms:CreateAlias", "kms:CreateKey", "kms:DeleteAlias", "kms:Describe*", "kms:GenerateRandom"),
        _allow("kms:Get*", "kms:List*", "kms:TagResource", "kms:UntagResource", "iam:ListUsers", "iam:ListRoles"),
    ],
    "SecretsManagerReadWrite": [_allow("secretsmanager:*", "kms:ListKeys", "kms:DescribeKey", "kms:ListAliases")],
    "AmazonRDSFullAccess": [_allow("rds:*")],
    "AmazonRDSReadOnlyAccess": [_reading("rds")],
    "AmazonSQSFullAccess": [_allow("sqs:*")],
    "AmazonSQSReadOnlyAccess": [_reading("sqs")],
    "AmazonSNSFullAccess": [_allow("sns:*")],
    "AmazonSNSReadOnlyAccess": [_reading("sns")],
    "CloudWatchFullAccess": [_allow("cloudwatch:*", "logs:*")],
    "CloudWatchReadOnlyAccess": [_reading("cloudwatch", "logs")],
}
# Roles of services that are not here may nothing.
_OF_LINKED_ROLES: dict[str, list[Json]] = {
    f"{POLICY_PATH}{each.policy}": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]
    for each in LINKED_ROLES.values()
}
DOCUMENTS: Mapping[str, str] = {
    f"{AWS_MANAGED}{name}": json.dumps({"Version": "2012-10-17", "Statement": statements})
    for name, statements in (_STATEMENTS | _OF_LINKED_ROLES).items()
}
