"""Staging labels against a model: any order of calls leaves what AWS documents."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.secrets_manager.stages import (
    CURRENT,
    MOST_LABELS,
    PENDING,
    PREVIOUS,
    StageFault,
    Stages,
    TooManyLabels,
    attach,
    holder,
    move,
)

LABELS = st.sampled_from([CURRENT, PREVIOUS, PENDING, "MINE"])
IDS = st.sampled_from(["v1", "v2", "v3", "v4"])
PUT = st.tuples(st.just("put"), IDS, st.frozensets(LABELS, max_size=3))
MOVE = st.tuples(st.just("move"), LABELS, st.none() | IDS, st.none() | IDS)


class Model:
    """The labels the other way round, as AWS's documentation speaks of them: each label is on one version."""

    def __init__(self) -> None:
        self.made: list[str] = []
        self.at: dict[str, str] = {}

    def give(self, label: str, version: str) -> None:
        if label == CURRENT and (former := self.at.get(CURRENT, version)) != version:
            self.at[CURRENT] = version
            self.at[PREVIOUS] = former
            if self.at.get(PENDING) == former:
                del self.at[PENDING]
        else:
            self.at[label] = version

    def put(self, version: str, labels: frozenset[str]) -> None:
        self.made.append(version)
        wanted = set(labels or {CURRENT}) | (set() if CURRENT in self.at else {CURRENT})
        for label in sorted(wanted - {CURRENT}):
            self.give(label, version)
        if CURRENT in wanted:
            self.give(CURRENT, version)

    def move(self, label: str, taken: str | None, given: str | None) -> bool:
        """Whether AWS would do it."""
        here = self.at.get(label)
        if taken is not None and taken != here:
            return False
        if given is None and (taken is None or label == CURRENT):
            return False
        if given is not None and here not in (None, given) and taken is None:
            return False
        if given is None:
            del self.at[label]
        else:
            self.give(label, given)
        return True

    def stages(self) -> dict[str, frozenset[str]]:
        return {id: frozenset(label for label, at in self.at.items() if at == id) for id in self.made}


@given(st.lists(PUT | MOVE, max_size=20))
def test_any_calls_leave_what_the_model_says(calls: list[tuple[Any, ...]]) -> None:
    stages: Stages = {}
    model = Model()
    for kind, *rest in calls:
        if kind == "put":
            version, labels = rest
            if version in stages:
                continue  # the same token again: nothing new
            stages = attach(stages, version, labels)
            model.put(version, labels)
        else:
            label, taken, given_to = rest
            if any(each is not None and each not in stages for each in (taken, given_to)):
                continue
            try:
                stages = move(stages, label, taken, given_to)
                done = True
            except StageFault:
                done = False
            assert model.move(label, taken, given_to) is done
        assert stages == model.stages()
        assert not stages or holder(stages, CURRENT) is not None
        assert sum(map(len, stages.values())) == len(frozenset().union(*stages.values())), "a label is on one version"


def test_going_back_exchanges_current_and_previous() -> None:
    stages = attach(attach({}, "v1"), "v2")
    assert move(stages, CURRENT, "v2", "v1") == {"v1": {CURRENT}, "v2": {PREVIOUS}}


def test_a_version_has_twenty_labels_at_most() -> None:
    labels = [f"L{each}" for each in range(MOST_LABELS - 1)]
    stages = attach({}, "v1", labels)
    assert len(stages["v1"]) == MOST_LABELS
    with pytest.raises(TooManyLabels):
        move(stages, "another", None, "v1")
