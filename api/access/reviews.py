"""The questions of authorization.aerekos.cloud over the wire: AccessExplanation, ResourceAccessReview, DenialReview.

Whoever is known may ask about themselves. About others may ask who may create SubjectAccessReviews; who may do
something, and about refusals of others, admins. Another tenant hears the same whether something is there or not.
"""

from __future__ import annotations

from typing import Any

import anyio.lowlevel

from api.access.explanation import Explainer, Explanation
from api.access.subjects import Subjects
from api.audit.denials import Denial, Denials
from api.auth.authorizer import Action, Authorizer
from api.auth.principal import Principal
from controller.resources.validation import validate
from crds.errors import BadRequest, Forbidden, Invalid, NotFound
from crds.kind import GROUP as OURS
from crds.kind import Kind
from crds.kinds.explanation import (
    EXPLANATIONS,
    GROUP,
    AccessExplanation,
    AccessQuestion,
    AwsAttributes,
    DenialReview,
    ResourceAccessReview,
    ResourceAttributes,
)

Json = dict[str, Any]
PREFIX = f"/apis/{GROUP}/v1/"
NEWEST = 50
_BETWEEN_TURNS = 20
_KINDS = {kind.plural: kind for kind in EXPLANATIONS}


class AccessQuestions:
    """Answers them. One per conductor."""

    def __init__(self, explainer: Explainer, subjects: Subjects, authorizer: Authorizer, denials: Denials) -> None:
        self._explainer, self._subjects = explainer, subjects
        self._authorizer, self._denials = authorizer, denials

    async def answer(self, path: str, body: Json, who: Principal) -> Json:
        """The question with its `status` filled. Raises BadRequest, Forbidden, Invalid, NotFound."""
        kind = _KINDS.get(path.removeprefix(PREFIX).rstrip("/"))
        if kind is None:
            raise NotFound("the server could not find the requested resource")
        self._authorizer.require(who, Action("create", GROUP, kind.plural))
        asked = _read(kind, body)
        match asked:
            case AccessExplanation():
                status = self._explanation(asked, who)
            case ResourceAccessReview():
                status = await self._who_may(asked.spec)
            case _:
                status = self._denial(asked, who)
        return {
            "apiVersion": kind.api_version,
            "kind": kind.name,
            "metadata": {},
            "spec": asked.spec.wire(),
            "status": status,
        }

    def _explanation(self, asked: AccessExplanation, who: Principal) -> Json:
        others = self._may_ask_about_others(who)
        subject = self._subjects.of(who)
        if asked.spec.groups or asked.spec.user not in ("", who.name):
            if not others:
                raise Forbidden(
                    f'User "{who.name}" may ask about themselves alone: about others asks who may create '
                    "subjectaccessreviews.authorization.k8s.io"
                )
            subject = self._subjects.named(asked.spec.user or who.name, asked.spec.groups)
        return self._explainer.explain(subject, asked.spec, everywhere=others).described()

    async def _who_may(self, question: AccessQuestion) -> Json:
        found: list[Explanation] = []
        for number, each in enumerate(self._subjects.all()):
            if number % _BETWEEN_TURNS == 0:
                await anyio.lowlevel.checkpoint()
            found.append(self._explainer.explain(each, question, everywhere=True))
        allowed = [each.described() for each in found if each.allowed]
        return {"subjects": allowed, "asked": len(found)}

    def _denial(self, asked: DenialReview, who: Principal) -> Json:
        id = asked.spec.request_id
        whose = None if self._authorizer.allows(who, Action("list", OURS, "auditlog")) else who.name
        if not id:
            return {"denials": [self._described(each) for each in self._denials.newest(NEWEST, whose)]}
        found = self._denials.find(id, whose)
        if not found:
            raise NotFound(
                f'no refusal of request "{id}" is known here: refusals are kept for a while and in memory alone, and '
                "told to whom they were meant for and to admins"
            )
        return {"denials": [{**self._described(each), **self._as_it_is_now(each, who)} for each in found]}

    @staticmethod
    def _described(denial: Denial) -> Json:
        told = {
            "requestId": denial.request_id,
            "time": denial.time,
            "principal": denial.principal,
            "code": denial.code,
            "action": denial.action,
            "resource": denial.resource,
            "reason": denial.reason,
        }
        return told if denial.policies is None else {**told, "policies": denial.policies}

    def _as_it_is_now(self, denial: Denial, who: Principal) -> Json:
        """The same question asked again: both sides, and whether it would be allowed by now. `who`: asks for it."""
        question = question_of(denial)
        if question is None or not denial.principal:
            return {}
        try:
            own = denial.principal == who.name
            subject = self._subjects.of(who) if own else self._subjects.named(denial.principal)
            return {"now": self._explainer.explain(subject, question, everywhere=False).described()}
        except Invalid:
            return {}

    def _may_ask_about_others(self, who: Principal) -> bool:
        return self._authorizer.allows(who, Action("create", "authorization.k8s.io", "subjectaccessreviews"))


def question_of(denial: Denial) -> AccessQuestion | None:
    """What was refused, as a question; None where it was no action on a resource."""
    if ":" in denial.action:
        resource = denial.resource if isinstance(denial.resource, str) and denial.resource else "*"
        return AccessQuestion(aws_attributes=AwsAttributes(action=denial.action, resource=resource))
    if isinstance(denial.resource, str):
        return None
    named = denial.resource
    return AccessQuestion(
        resource_attributes=ResourceAttributes(
            verb=denial.action,
            group=named.get("apiGroup", ""),
            resource=named["resource"],
            subresource=named.get("subresource", ""),
            namespace=named.get("namespace", ""),
            name=named.get("name", ""),
        )
    )


def _read(kind: Kind[Any], body: Json) -> Any:
    for field, wanted in (("apiVersion", kind.api_version), ("kind", kind.name)):
        if body.get(field, wanted) != wanted:
            raise BadRequest(f"{field} must be {wanted}, not {body[field]!r}")
    given = {"metadata": {}, **body, "apiVersion": kind.api_version, "kind": kind.name}
    given.pop("status", None)
    return kind.parse(validate(kind, given, "Strict").body)
