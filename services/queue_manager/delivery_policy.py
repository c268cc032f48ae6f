"""How often, and when, an address gets again what it did not take: the JSON of a `DeliveryPolicy`, read. Pure.

Source: Amazon SNS Developer Guide, "Creating an HTTP/S delivery policy", "Message delivery retries".
"""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Any, Literal, NamedTuple, Self, TypeVar

import orjson
from pydantic import Field, ValidationError, model_validator

from crds.model import Model

LONGEST_SECONDS = 3600
"""All the waits of a policy together."""
_CONTENT_TYPES = frozenset(
    f"{each}{end}"
    for each in (
        "application/atom+xml",
        "application/json",
        "application/octet-stream",
        "application/soap+xml",
        "application/x-www-form-urlencoded",
        "application/xhtml+xml",
        "application/xml",
        "text/css",
        "text/csv",
        "text/html",
        "text/plain",
        "text/xml",
    )
    for end in ("", "; charset=UTF-8")
)
PLAIN_TEXT = "text/plain; charset=UTF-8"
P = TypeVar("P", bound=Model)
Seconds = Annotated[int, Field(ge=1, le=LONGEST_SECONDS, strict=True)]
Count = Annotated[int, Field(ge=0, le=100, strict=True)]


class PolicyFault(ValueError):
    """What is no delivery policy, and why."""


class RetryPolicy(Model):
    """`numRetries` tries after the first one: so many at once, then so many after `minDelayTarget` seconds, then
    longer and longer waits by `backoffFunction`, then so many after `maxDelayTarget`.
    """

    min_delay_target: Seconds = 20
    max_delay_target: Seconds = 20
    num_retries: Count = 3
    num_max_delay_retries: Count = 0
    num_no_delay_retries: Count = 0
    num_min_delay_retries: Count = 0
    backoff_function: Literal["linear", "arithmetic", "geometric", "exponential"] = "linear"

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.max_delay_target < self.min_delay_target:
            raise ValueError("minDelayTarget must be less than or equal to maxDelayTarget")
        if self._phases > self.num_retries:
            raise ValueError("numRetries must be at least the sum of the retries of all phases")
        if sum(map(self.wait, range(1, self.num_retries + 1))) > LONGEST_SECONDS:
            raise ValueError(f"all waits together must be at most {LONGEST_SECONDS} seconds")
        return self

    def wait(self, retry: int) -> float:
        """Seconds before that try again, the first one being 1."""
        if retry <= self.num_no_delay_retries:
            return 0.0
        at = retry - self.num_no_delay_retries - self.num_min_delay_retries
        between = self.num_retries - self._phases
        if at <= 0:
            return float(self.min_delay_target)
        if at > between:
            return float(self.max_delay_target)
        return self._between(at / (between + 1))

    @property
    def _phases(self) -> int:
        return self.num_no_delay_retries + self.num_min_delay_retries + self.num_max_delay_retries

    def _between(self, part: float) -> float:
        """The wait after that part of the way from the shortest to the longest one."""
        least, most = self.min_delay_target, self.max_delay_target
        if self.backoff_function == "linear":
            return least + (most - least) * part
        if self.backoff_function == "arithmetic":
            return least + (most - least) * part * (1 + part) / 2
        if self.backoff_function == "geometric":
            return float(least * (most / least) ** part)
        return least + (most - least) * (2**part - 1) ** 2


class ThrottlePolicy(Model):
    """How many messages an address gets in a second."""

    max_receives_per_second: Annotated[int, Field(ge=1, strict=True)]


class RequestPolicy(Model):
    """What `Content-Type` says."""

    header_content_type: str = PLAIN_TEXT

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if self.header_content_type not in _CONTENT_TYPES:
            raise ValueError(f"headerContentType {self.header_content_type[:100]} is none of those SNS knows")
        return self


class DeliveryPolicy(Model):
    """Of a subscription. `sicklyRetryPolicy`, `guaranteed`: as the AWS CLI shows them, and nothing else."""

    healthy_retry_policy: RetryPolicy | None = None
    sickly_retry_policy: None = None
    throttle_policy: ThrottlePolicy | None = None
    request_policy: RequestPolicy | None = None
    guaranteed: Literal[False] = False


class _TopicHttp(Model):
    default_healthy_retry_policy: RetryPolicy | None = None
    default_sickly_retry_policy: None = None
    default_throttle_policy: ThrottlePolicy | None = None
    default_request_policy: RequestPolicy | None = None
    disable_subscription_overrides: bool = False


class TopicDeliveryPolicy(Model):
    """Of a topic, for subscriptions that say nothing else."""

    http: _TopicHttp = _TopicHttp()


class EffectivePolicy(NamedTuple):
    """What counts for a subscription; of what nobody said anything about, the default."""

    healthy_retry_policy: RetryPolicy
    throttle_policy: ThrottlePolicy | None
    request_policy: RequestPolicy


def delivery_policy(text: str) -> DeliveryPolicy:
    """Raises PolicyFault."""
    return _read(DeliveryPolicy, text)


def topic_delivery_policy(text: str) -> TopicDeliveryPolicy:
    """Raises PolicyFault."""
    return _read(TopicDeliveryPolicy, text)


@lru_cache(maxsize=1024)
def effective(topic: str, own: str = "") -> EffectivePolicy:
    """What counts for a subscription whose topic says one thing and itself another; empty texts say nothing."""
    of_topic = topic_delivery_policy(topic).http if topic else _TopicHttp()
    mine = delivery_policy(own) if own and not of_topic.disable_subscription_overrides else DeliveryPolicy()
    return EffectivePolicy(
        healthy_retry_policy=mine.healthy_retry_policy or of_topic.default_healthy_retry_policy or RetryPolicy(),
        throttle_policy=mine.throttle_policy or of_topic.default_throttle_policy,
        request_policy=mine.request_policy or of_topic.default_request_policy or RequestPolicy(),
    )


def shown_for_topic(topic: str) -> str:
    """`EffectiveDeliveryPolicy` of a topic: JSON."""
    said, counts = topic_delivery_policy(topic or "{}").http, effective(topic)
    http: dict[str, Any] = {
        "defaultHealthyRetryPolicy": counts.healthy_retry_policy.wire(),
        "disableSubscriptionOverrides": said.disable_subscription_overrides,
        "defaultRequestPolicy": counts.request_policy.wire(),
    }
    if counts.throttle_policy is not None:
        http["defaultThrottlePolicy"] = counts.throttle_policy.wire()
    return orjson.dumps({"http": http}).decode()


def shown_for_subscription(topic: str, own: str) -> str:
    """`EffectiveDeliveryPolicy` of a subscription: JSON."""
    counts = effective(topic, own)
    told = {
        "healthyRetryPolicy": counts.healthy_retry_policy.wire(),
        "sicklyRetryPolicy": None,
        "throttlePolicy": None if counts.throttle_policy is None else counts.throttle_policy.wire(),
        "requestPolicy": counts.request_policy.wire(),
        "guaranteed": False,
    }
    return orjson.dumps(told).decode()


def _read(kind: type[P], text: str) -> P:
    try:
        return kind.model_validate(orjson.loads(text))
    except orjson.JSONDecodeError:
        raise PolicyFault("failed to parse JSON") from None
    except ValidationError as wrong:
        first = wrong.errors()[0]
        where = ".".join(str(each) for each in first["loc"])
        raise PolicyFault(f"{where}: {first['msg'].removeprefix('Value error, ')}".removeprefix(": ")) from None
