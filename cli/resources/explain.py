"""Questions about access, asked of the cloud: may somebody, who may, and why was a request refused."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from cli.api_client import ApiClient
from cli.errors import Refused
from cli.resources.kinds import Kinds, Served, discover
from cli.tables import grid
from controller.main.errors import Misuse
from services.sdk.aws.accounts import account_of
from services.sdk.aws.iam_names import iam_arn
from services.sdk.aws.policy.explanation import statement_in_words

Json = dict[str, Any]
_BASE = "/apis/authorization.aerekos.cloud/v1"
EXAMPLE = "e.g. aerekos who-can delete services/web   or   aerekos who-can kms:Decrypt key/payroll"
_IAM = {
    "iamusers": ("user", "userName"),
    "iamgroups": ("group", "groupName"),
    "iamroles": ("role", "roleName"),
    "iampolicies": ("policy", "policyName"),
}


@dataclass(frozen=True)
class Asked:
    """What was typed: a verb and a resource of this cloud, or an action of AWS and an ARN."""

    does: str
    resource: str = ""
    namespace: str = "default"
    everywhere: bool = False
    subresource: str = ""
    context: Sequence[str] = field(default_factory=tuple)
    policy: str = ""

    @property
    def is_aws(self) -> bool:
        return ":" in self.does


def question(api: ApiClient, asked: Asked) -> Json:
    """The question as the API has it. Raises Misuse."""
    if asked.is_aws:
        if asked.subresource:
            raise Misuse("--subresource is for verbs, not for actions of AWS", hint=EXAMPLE)
        aws = {"action": asked.does, "resource": _arn(api, asked), "context": _context(asked.context)}
        return {"awsAttributes": {**aws, "resourcePolicy": asked.policy} if asked.policy else aws}
    if asked.policy:
        raise Misuse("--resource-policy is for actions of AWS: roles know no policies", hint=EXAMPLE)
    if asked.context:
        raise Misuse("--condition is for actions of AWS: roles have no conditions", hint=EXAMPLE)
    if not asked.resource:
        raise Misuse(f"{asked.does} what?", hint=EXAMPLE)
    word, _, name = asked.resource.partition("/")
    kind = discover(api).called(word)
    wanted = {"verb": asked.does, "group": kind.group, "resource": kind.plural, "name": name}
    wanted["subresource"] = asked.subresource
    wanted["namespace"] = asked.namespace if kind.namespaced and not asked.everywhere else ""
    return {"resourceAttributes": {key: text for key, text in wanted.items() if text}}


def who_may(api: ApiClient, asked: Asked) -> Json:
    """Everybody who may, each with the reason."""
    return _status(api, "resourceaccessreviews", question(api, asked))


def may(api: ApiClient, asked: Asked, user: str, groups: Sequence[str]) -> Json:
    """Whether somebody may, and why."""
    spec = {**question(api, asked), **({"user": user} if user else {}), **({"groups": [*groups]} if groups else {})}
    return _status(api, "accessexplanations", spec)


def denials(api: ApiClient, request_id: str) -> list[Json]:
    """The refusals of that request; without one the newest. Raises Refused."""
    try:
        spec = {"requestId": request_id} if request_id else {}
        return list(_status(api, "denialreviews", spec)["denials"])
    except Refused as refused:
        if refused.status == 404:
            refused.hint = "see the newest: aerekos why"
        raise


def sides(explanation: Json) -> str:
    """What each side says, one below the other."""
    table = grid(["SIDE", "SAYS", "BECAUSE"], _sides(explanation))
    besides = explanation.get("notConsidered")
    return f"{table}\n\nnot considered: {besides}" if besides else table


def subjects_table(status: Json) -> str:
    """Those who may. Roles and policies stand beside each other, also where one of both was enough."""
    rows = [
        [_titled(each["subject"]), each["decidedBy"], _yes(each["roles"]["allowed"]), _outcome(each["policies"]),
         each["reason"]]
        for each in status["subjects"]
    ]  # fmt: skip
    table = grid(["WHO", "BY", "ROLES", "POLICIES", "BECAUSE"], rows)
    besides = next((each["notConsidered"] for each in status["subjects"] if "notConsidered" in each), "")
    return f"{table}\n\nnot considered: {besides}" if besides else table


def denials_table(found: Sequence[Json]) -> str:
    """One line for each refusal."""
    rows = [[each["requestId"], each["time"], each["principal"] or "<nobody>", each["action"], target(each)]
            for each in found]  # fmt: skip
    return grid(["REQUEST", "TIME", "WHO", "ACTION", "RESOURCE"], rows)


def denial_text(denial: Json) -> str:
    """Everything that is known of one."""
    lines = [
        f"request:   {denial['requestId']}   {denial['time']}   answered {denial['code']}",
        f"who:       {denial['principal'] or 'nobody was proven'}",
        f"wanted:    {denial['action']} on {target(denial)}",
        f"refused:   {denial['reason']}",
    ]
    if (policies := denial.get("policies")) is not None:
        lines.append(f"decided:   {statement_in_words(policies)}")
    if (now := denial.get("now")) is None:
        return "\n".join(lines)
    verdict = "it would be allowed" if now["allowed"] else "it would be refused again"
    return "\n".join([*lines, f"by now:    {verdict}: {now['reason']}", "", sides(now)])


def target(denial: Json) -> str:
    """The ARN, or KIND/NAME and the namespace."""
    resource = denial["resource"]
    if isinstance(resource, str):
        return resource or "*"
    kind = f"{resource['resource']}.{resource['apiGroup']}" if "apiGroup" in resource else resource["resource"]
    named = "/".join(each for each in (kind, resource.get("name"), resource.get("subresource")) if each)
    return f"{named} in {resource['namespace']}" if "namespace" in resource else named


def _sides(explanation: Json) -> Iterator[list[str]]:
    roles, policies = explanation["roles"], explanation["policies"]
    yield ["roles", _yes(roles["allowed"]), roles["reason"]]
    because = statement_in_words(policies)
    if policies.get("outOfBounds"):
        because = "the permissions boundary does not allow it"
    yield ["policies", _outcome(policies), because]
    if (own := explanation.get("resourcePolicy")) is not None:
        if "outcome" in own:
            yield ["resource's policy", _outcome(own), statement_in_words(own)]
        if "grant" in own:
            yield ["grant", "yes", own["grant"]]


def _outcome(decision: Json) -> str:
    if decision.get("outOfBounds"):
        return "no (boundary)"
    return {"allowed": "yes", "explicitDeny": "denied", "implicitDeny": "no"}.get(decision["outcome"], "-")


def _yes(allowed: bool) -> str:
    return "yes" if allowed else "no"


def _titled(subject: Json) -> str:
    place = f"{subject['namespace']}/" if "namespace" in subject else ""
    return f"{subject['kind']} {place}{subject['name']}"


def _status(api: ApiClient, plural: str, spec: Json) -> Json:
    return dict(api.ask("POST", f"{_BASE}/{plural}", json={"spec": spec})["status"])


def _context(pairs: Sequence[str]) -> Json:
    """`aws:SourceIp=10.0.0.1`; a key that is said twice has both values."""
    found: dict[str, list[str]] = {}
    for each in pairs:
        name, sign, value = each.partition("=")
        if not sign or not name:
            raise Misuse(f'"{each}" is no condition key', hint="--condition kms:EncryptionContext:team=blue")
        found.setdefault(name, []).append(value)
    return found


def _arn(api: ApiClient, asked: Asked) -> str:
    """The ARN of what was named in a handier way: `key/payroll`, `bucket/photos/cat.jpg`, `iamrole/cook`."""
    if asked.resource in ("", "*") or asked.resource.startswith("arn:"):
        return asked.resource or "*"
    word, _, name = asked.resource.partition("/")
    kinds = discover(api)
    kind = kinds.called(word)
    if not name:
        raise Misuse(f"which {word}?", hint="KIND/NAME, an ARN, or * for all")
    if kind.plural == "buckets":
        return f"arn:aws:s3:::{name}"
    return _arn_of(api, kinds, kind, name, asked.namespace)


def _arn_of(api: ApiClient, kinds: Kinds, kind: Served, name: str, namespace: str) -> str:
    found = api.get(kind.path(namespace, name))
    if kind.plural in _IAM:
        noun, field_name = _IAM[kind.plural]
        spec = found["spec"]
        return iam_arn(account_of(namespace), noun, spec.get("path", "/"), spec[field_name])
    arn = (found.get("status") or {}).get("arn")
    if not arn:
        raise Misuse(f"{kind.singular}/{name} has no ARN", hint="give the ARN itself, or * for all")
    return str(arn)
