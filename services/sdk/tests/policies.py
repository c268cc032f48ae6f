"""Short ways to write policies and requests in tests of the evaluator."""

from __future__ import annotations

import json
from typing import Any

from services.sdk.aws.policy import Context, NamedPolicy, Policies, Request, Requester, parse_policy
from services.sdk.aws.policy.context import Given

ACCOUNT, OTHER = "111122223333", "444455556666"
ANN = Requester("user", f"arn:aws:iam::{ACCOUNT}:user/ann", ACCOUNT, ids=("AIDAANN",))
ROLE = f"arn:aws:iam::{ACCOUNT}:role/ops"
SESSION_ARN = f"arn:aws:sts::{ACCOUNT}:assumed-role/ops/monday"
SESSION = Requester("session", SESSION_ARN, ACCOUNT, behind=ROLE, ids=("AROAOPS", "AROAOPS:monday"))
ROOT = Requester("root", f"arn:aws:iam::{ACCOUNT}:root", ACCOUNT)
FEDERATED = Requester("federated-user", f"arn:aws:sts::{ACCOUNT}:federated-user/bob", ACCOUNT, behind=ANN.arn)
ANONYMOUS = Requester("anonymous")
LAMBDA = Requester("service", "lambda.amazonaws.com")
WEB = Requester("web-identity", f"arn:aws:iam::{ACCOUNT}:oidc-provider/id.example.org")
BUCKET = "arn:aws:s3:::bucket"


def statement(effect: str = "Allow", /, **elements: Any) -> dict[str, Any]:
    """A statement about everything, but for what is said of it; None leaves an element out."""
    wanted: dict[str, Any] = {"Effect": effect, "Action": "*", "Resource": "*"}
    for name in elements:
        wanted.pop(name.removeprefix("Not"), None)
    return {name: each for name, each in {**wanted, **elements}.items() if each is not None}


def named(*statements: dict[str, Any], name: str = "policy", version: str = "2012-10-17") -> NamedPolicy:
    return NamedPolicy(name, parse_policy(json.dumps({"Version": version, "Statement": list(statements)})))


def identity(*statements: dict[str, Any], version: str = "2012-10-17") -> Policies:
    return Policies(identity=[named(*statements, version=version)])


def request(
    who: Requester = ANN,
    action: str = "s3:GetObject",
    resource: str = f"{BUCKET}/key",
    context: dict[str, Given] | None = None,
    owner: str = "",
) -> Request:
    return Request(who, action, resource, Context(context), owner)
