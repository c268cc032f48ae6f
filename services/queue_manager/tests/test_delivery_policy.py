"""Delivery policies: the waits they mean, whose counts, and what is none."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from services.queue_manager.delivery_policy import (
    PolicyFault,
    RetryPolicy,
    delivery_policy,
    effective,
    shown_for_subscription,
    shown_for_topic,
    topic_delivery_policy,
)

PHASES = {
    "minDelayTarget": 1,
    "maxDelayTarget": 60,
    "numRetries": 10,
    "numNoDelayRetries": 3,
    "numMinDelayRetries": 2,
    "numMaxDelayRetries": 2,
}


def test_without_one_it_is_tried_three_times_more() -> None:
    counts = effective("").healthy_retry_policy
    assert counts is not None and [counts.wait(each) for each in (1, 2, 3)] == [20, 20, 20]
    assert json.loads(shown_for_topic(""))["http"]["defaultHealthyRetryPolicy"]["numRetries"] == 3


@pytest.mark.parametrize(
    ("function", "between"),
    [
        ("linear", [15.75, 30.5, 45.25]),
        ("arithmetic", [10.2, 23.1, 39.7]),
        ("geometric", [2.8, 7.7, 21.6]),
        ("exponential", [3.1, 11.1, 28.4]),
    ],
)
def test_waits_grow_from_the_shortest_to_the_longest(function: str, between: list[float]) -> None:
    policy = RetryPolicy.model_validate({**PHASES, "backoffFunction": function})
    waits = [policy.wait(each) for each in range(1, 11)]
    assert waits[:5] == [0, 0, 0, 1, 1] and waits[8:] == [60, 60]
    assert waits[5:8] == pytest.approx(between, abs=0.06)


@given(
    st.fixed_dictionaries(
        {
            "minDelayTarget": st.integers(0, 4000),
            "maxDelayTarget": st.integers(0, 4000),
            "numRetries": st.integers(-1, 101),
            **{f"num{each}Retries": st.integers(0, 5) for each in ("NoDelay", "MinDelay", "MaxDelay")},
            "backoffFunction": st.sampled_from(["linear", "arithmetic", "geometric", "exponential"]),
        }
    )
)
def test_whatever_is_taken_waits_an_hour_at_most_and_never_shorter(said: dict[str, object]) -> None:
    try:
        policy = RetryPolicy.model_validate(said)
    except ValidationError:
        return
    waits = [policy.wait(each) for each in range(1, policy.num_retries + 1)]
    assert sum(waits) <= 3600 and waits == sorted(waits)
    assert all(each == 0 or policy.min_delay_target <= each <= policy.max_delay_target for each in waits)


def test_the_subscription_s_counts_unless_the_topic_forbids_it() -> None:
    own = json.dumps({"healthyRetryPolicy": {"numRetries": 1}, "throttlePolicy": {"maxReceivesPerSecond": 5}})
    http = {"defaultHealthyRetryPolicy": {"numRetries": 7}, "defaultRequestPolicy": {"headerContentType": "text/csv"}}
    free, fixed = ({"http": {**http, "disableSubscriptionOverrides": each}} for each in (False, True))
    told = json.loads(shown_for_subscription(json.dumps(free), own))
    assert (told["healthyRetryPolicy"]["numRetries"], told["throttlePolicy"]) == (1, {"maxReceivesPerSecond": 5})
    assert told["requestPolicy"] == {"headerContentType": "text/csv"}
    told = json.loads(shown_for_subscription(json.dumps(fixed), own))
    assert (told["healthyRetryPolicy"]["numRetries"], told["throttlePolicy"]) == (7, None)
    assert delivery_policy(json.dumps(told)).request_policy is not None, "what is shown is taken"


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("{", "failed to parse JSON"),
        ('{"healthyRetryPolicy": {"numRetries": 101}}', "healthyRetryPolicy.numRetries"),
        ('{"healthyRetryPolicy": {"minDelayTarget": 30}}', "less than or equal"),
        ('{"healthyRetryPolicy": {"numRetries": 1, "numNoDelayRetries": 2}}', "sum of the retries"),
        ('{"healthyRetryPolicy": {"numRetries": 100, "maxDelayTarget": 600}}', "at most 3600 seconds"),
        ('{"throttlePolicy": {"maxReceivesPerSecond": 0}}', "throttlePolicy.maxReceivesPerSecond"),
        ('{"requestPolicy": {"headerContentType": "text/plain\\r\\nx: y"}}', "none of those"),
        ('{"sicklyRetryPolicy": {"numRetries": 1}}', "sicklyRetryPolicy"),
        ('{"http": {}}', "http"),
    ],
)
def test_what_is_none(said: str, words: str) -> None:
    with pytest.raises(PolicyFault, match=words):
        delivery_policy(said)
    with pytest.raises(PolicyFault, match="healthyRetryPolicy"):
        topic_delivery_policy('{"healthyRetryPolicy": {}}')
