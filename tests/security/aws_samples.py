"""Requests of AWS operations that lack nothing: what they name is there, and what they say is well formed."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from botocore.model import Shape

Samples = Mapping[str, Any]
ACCOUNT = "000000000000"
_IAM = f"arn:aws:iam::{ACCOUNT}"
_ALLOW = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}
_ROOT = {"Principal": {"AWS": f"{_IAM}:root"}}
POLICY = json.dumps({"Version": "2012-10-17", "Statement": [_ALLOW]})
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "ec2.amazonaws.com"}}],
    }
)
# By the name of a member, or of an operation and its member where the name alone is not enough.
IAM: Samples = {
    "UserName": "ann",
    "GroupName": "staff",
    "RoleName": "app",
    "PolicyName": "inline",
    "InstanceProfileName": "profile",
    "PolicyArn": f"{_IAM}:policy/read",
    "PermissionsBoundary": f"{_IAM}:policy/read",
    "PolicyDocument": POLICY,
    "AssumeRolePolicyDocument": TRUST,
    "UpdateAssumeRolePolicy.PolicyDocument": TRUST,
    "PolicyInputList": [POLICY],
    "PolicySourceArn": f"{_IAM}:user/ann",
    "Arn": f"{_IAM}:user/ann",
    "ServiceNamespaces": ["s3"],
    "ActionNames": ["s3:GetObject"],
    "VersionId": "v1",
    "Url": "https://issuer.example.com",
    "OpenIDConnectProviderArn": f"{_IAM}:oidc-provider/known.example.com",
    "ThumbprintList": ["9e99a48a9960b14926bb7f3b02e22da2b0ab7280"],
    "ClientID": "app",
    "AWSServiceName": "batch.amazonaws.com",
    "DeleteServiceLinkedRole.RoleName": "AWSServiceRoleForECS",
    "DeletionTaskId": "task/aws-service-role/ecs.amazonaws.com/AWSServiceRoleForECS/1",
    "AccountAlias": "our-cloud",
    "AccessKeyId": "AKIAOTHEROTHEROTHER1",
    "Status": "Active",
    "TagKeys": ["k"],
    "Tags": [{"Key": "k", "Value": "v"}],
}
S3: Samples = {
    "Bucket": "things",
    "CreateBucket.Bucket": "others",
    "Key": "a.txt",
    "CopySource": "things/a.txt",
    "PartNumber": 1,
    "Delete": {"Objects": [{"Key": "a.txt"}]},
    "Body": b"x",
}
RDS: Samples = {
    "DBInstanceIdentifier": "orders",
    "CreateDBInstance.DBInstanceIdentifier": "another",
    "CreateDBInstance.DBInstanceClass": "db.t3.micro",
    "CreateDBInstance.Engine": "postgres",
    "CreateDBInstance.AllocatedStorage": 20,
    "CreateDBInstance.MasterUsername": "app",
    "CreateDBInstance.MasterUserPassword": "long-enough",
    "DBParameterGroupName": "tuned",
    "DBParameterGroupFamily": "postgres15",
    "CreateDBParameterGroup.DBParameterGroupName": "another",
    "Description": "ours",
    "ModifyDBParameterGroup.Parameters": [
        {"ParameterName": "work_mem", "ParameterValue": "64", "ApplyMethod": "immediate"}
    ],
    "ResourceName": f"arn:aws:rds:us-east-1:{ACCOUNT}:db:orders",
    "Tags": [{"Key": "k", "Value": "v"}],
    "TagKeys": ["k"],
}
SCHEDULER: Samples = {
    "Name": "nightly",
    "GroupName": "default",
    "CreateSchedule.Name": "another",
    "CreateScheduleGroup.Name": "another",
    "ScheduleExpression": "at(2199-01-01T00:00:00)",
    "FlexibleTimeWindow": {"Mode": "OFF"},
    "Target": {"Arn": f"arn:aws:sqs:us-east-1:{ACCOUNT}:q", "RoleArn": f"{_IAM}:role/app"},
    "ResourceArn": f"arn:aws:scheduler:us-east-1:{ACCOUNT}:schedule-group/nightly",
    "Tags": [{"Key": "k", "Value": "v"}],
    "TagKeys": ["k"],
}
EVENTS: Samples = {
    "Name": "nightly",
    "Rule": "nightly",
    "CreateEventBus.Name": "another",
    "DescribeEventBus.Name": "shop",
    "UpdateEventBus.Name": "shop",
    "DeleteEventBus.Name": "shop",
    "EventPattern": json.dumps({"source": ["shop"]}),
    "TestEventPattern.Event": json.dumps(
        {"id": "1", "account": ACCOUNT, "source": "s", "time": "t", "region": "r", "detail-type": "d"}
    ),
    "Targets": [
        {"Id": "t", "Arn": f"arn:aws:sqs:us-east-1:{ACCOUNT}:q", "RoleArn": f"{_IAM}:role/app"},
    ],
    "Ids": ["t"],
    "TargetArn": f"arn:aws:sqs:us-east-1:{ACCOUNT}:q",
    "Entries": [{"Source": "shop", "DetailType": "Order", "Detail": "{}"}],
    "ResourceARN": f"arn:aws:events:us-east-1:{ACCOUNT}:rule/nightly",
    "Tags": [{"Key": "k", "Value": "v"}],
    "TagKeys": ["k"],
}
MONITORING: Samples = {
    "Namespace": "Shop",
    "MetricName": "Orders",
    "MetricData": [{"MetricName": "Orders", "Value": 1.0}],
    "StartTime": "2026-01-01T00:00:00Z",
    "EndTime": "2026-01-01T01:00:00Z",
    "Period": 60,
    "GetMetricStatistics.Statistics": ["Sum"],
    "AlarmName": "slow",
    "AlarmNames": ["slow"],
    "PutMetricAlarm.Statistic": "Sum",
    "EvaluationPeriods": 1,
    "Threshold": 1.0,
    "ComparisonOperator": "GreaterThanThreshold",
    "StateValue": "OK",
    "StateReason": "tried",
    "ResourceARN": f"arn:aws:cloudwatch:us-east-1:{ACCOUNT}:alarm:slow",
    "Tags": [{"Key": "k", "Value": "v"}],
    "TagKeys": ["k"],
    "MetricDataQueries": [
        {"Id": "m1", "MetricStat": {"Metric": {"Namespace": "S", "MetricName": "o"}, "Period": 60, "Stat": "Sum"}}
    ],
}
SECRETS: Samples = {
    "SecretId": "db",
    "Name": "another",
    "BatchGetSecretValue.SecretIdList": ["db"],
    "PutSecretValue.SecretString": "s",
    "ResourcePolicy": json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {**_ALLOW, "Principal": {"AWS": f"{_IAM}:root"}, "Action": "secretsmanager:GetSecretValue"}
            ],
        }
    ),
    "Tags": [{"Key": "k", "Value": "v"}],
    "TagKeys": ["k"],
    "VersionStage": "AWSCURRENT",
}
SNS: Samples = {
    "Name": "others",
    "Protocol": "sqs",
    "Endpoint": f"arn:aws:sqs:us-east-1:{ACCOUNT}:others",
    "Message": "x",
    "AttributeName": "DisplayName",
    "SetSubscriptionAttributes.AttributeName": "FilterPolicy",
    "PublishBatchRequestEntries": [{"Id": "a", "Message": "x"}],
    "Tags": [{"Key": "k", "Value": "v"}],
    "TagKeys": ["k"],
}
SQS: Samples = {
    "QueueName": "another",
    "GetQueueUrl.QueueName": "orders",
    "Label": "others",
    "AWSAccountIds": [ACCOUNT],
    "Actions": ["SendMessage"],
    "MessageBody": "x",
    "ReceiptHandle": "x",
    "VisibilityTimeout": 0,
    "Attributes": {"VisibilityTimeout": "30"},
    "SendMessageBatch.Entries": [{"Id": "a", "MessageBody": "x"}],
    "DeleteMessageBatch.Entries": [{"Id": "a", "ReceiptHandle": "x"}],
    "ChangeMessageVisibilityBatch.Entries": [{"Id": "a", "ReceiptHandle": "x", "VisibilityTimeout": 0}],
    "Tags": {"k": "v"},
    "TagKeys": ["k"],
    "SourceArn": f"arn:aws:sqs:us-east-1:{ACCOUNT}:orders",
    "TaskHandle": "x",
}
STS: Samples = {
    "RoleArn": f"{_IAM}:role/app",
    "RoleSessionName": "one",
    "Name": "one",
    "WebIdentityToken": "abcd",
    "AccessKeyId": "AKIAOTHEROTHEROTHER1",
    "EncodedMessage": "a",
}
KMS: Samples = {
    "AliasName": "alias/another",
    "DeleteAlias.AliasName": "alias/first",
    "UpdateAlias.AliasName": "alias/first",
    "Plaintext": b"x",
    "Message": b"x",
    "Description": "d",
    "PolicyName": "default",
    "Policy": json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [{**_ALLOW, **_ROOT, "Action": "kms:*"}],
        }
    ),
    "GranteePrincipal": f"{_IAM}:user/ann",
    "RetiringPrincipal": f"{_IAM}:user/ann",
    "Operations": ["Decrypt"],
    "Tags": [{"TagKey": "k", "TagValue": "v"}],
    "TagKeys": ["k"],
    "KeySpec": "AES_256",
    "KeyPairSpec": "RSA_2048",
    "NumberOfBytes": 32,
    "SigningAlgorithm": "ECDSA_SHA_256",
    "MacAlgorithm": "HMAC_SHA_256",
    "KeyAgreementAlgorithm": "ECDH",
    "WrappingAlgorithm": "RSAES_OAEP_SHA_256",
    "WrappingKeySpec": "RSA_2048",
    "ReplicaRegion": "eu-west-1",
    "PrimaryRegion": "eu-west-1",
}


LOGS: Samples = {
    "logGroupName": "/app/web",
    "CreateLogGroup.logGroupName": "/app/new",
    "logStreamName": "web-0",
    "CreateLogStream.logStreamName": "web-1",
    "resourceArn": f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:/app/web",
    "tags": {"team": "shop"},
    "UntagLogGroup.tags": ["team"],
    "retentionInDays": 7,
    "logEvents": [{"timestamp": 1, "message": "x"}],
    "filterPattern": "x",
    "StartQuery.logGroupName": "/app/web",
    "queryString": "limit 1",
    "startTime": 1,
    "endTime": 2,
    **dict.fromkeys(
        ("FilterLogEvents.logGroupName", "GetLogEvents.logGroupName", "DescribeLogStreams.logGroupName"), "/app/web"
    ),
}


def request_of(operation: str, shape: Shape | None, samples: Samples) -> dict[str, Any]:
    """What the operation requires, and what of the samples is for it alone."""
    if shape is None:
        return {}
    return {
        name: _sample(operation, name, member, samples)
        for name, member in shape.members.items()  # type: ignore[attr-defined]
        if name in shape.required_members or f"{operation}.{name}" in samples  # type: ignore[attr-defined]
    }


def _sample(operation: str, name: str, shape: Any, samples: Samples) -> Any:
    for known in (f"{operation}.{name}", name):
        if known in samples:
            return samples[known]
    if shape.type_name == "structure":
        return request_of(operation, shape, samples)
    if shape.type_name == "list":
        return [_sample(operation, name, shape.member, samples)]
    if shape.type_name == "blob":
        return base64.b64decode("eA==")
    return _plain(shape)


def _plain(shape: Any) -> Any:
    least = int(shape.metadata.get("min") or 1)
    if shape.type_name == "boolean":
        return True
    if shape.type_name in ("integer", "long"):
        return least
    return next(iter(shape.metadata.get("enum") or ()), "a" * least)
