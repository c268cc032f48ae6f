"""The conductor's explanations of access, put together of its parts."""

from __future__ import annotations

from api.access.aws_actions import AwsActions
from api.access.explanation import Explainer
from api.access.reviews import AccessQuestions
from api.access.subjects import Subjects
from api.audit import Audit
from api.auth.authorizer import Authorizer
from api.auth.iam_policies import IamPolicies
from controller.kit.clock import Clock
from controller.resources.registry import Registry
from crds.managed import ManagedService


def access_questions(
    registry: Registry, authorizer: Authorizer, services: tuple[ManagedService, ...], audit: Audit, clock: Clock
) -> AccessQuestions:
    """What answers questions about access."""
    subjects = Subjects(registry, authorizer, (each.service_name for each in services))
    actions, policies = AwsActions(services), IamPolicies(registry.store)
    explainer = Explainer(registry.store, authorizer, policies, actions, subjects, clock.now)
    return AccessQuestions(explainer, subjects, authorizer, audit.denials)
