"""Staging labels: which version of a secret has which, and how AWS moves them. Pure.

A label is attached to one version at most. `AWSCURRENT` cannot be without a version once it has one; whenever it
leaves one, `AWSPREVIOUS` comes to that, and `AWSPENDING` leaves it, too: what was current waits for nothing.

Source: AWS Secrets Manager API reference, PutSecretValue, UpdateSecretVersionStage; User Guide, "Secret versions".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

CURRENT, PREVIOUS, PENDING = "AWSCURRENT", "AWSPREVIOUS", "AWSPENDING"
MOST_LABELS = 20
Stages = Mapping[str, frozenset[str]]
"""The labels of each version, by its id, in the order of their making."""


class StageFault(ValueError):
    """A move that is not to be made, in AWS's words."""


class TooManyLabels(ValueError):
    """A version has twenty labels at most."""


def holder(stages: Stages, label: str) -> str | None:
    """The version that has that label."""
    return next((id for id, labels in stages.items() if label in labels), None)


def attach(stages: Stages, version: str, labels: Iterable[str] = ()) -> dict[str, frozenset[str]]:
    """With a version that gets these labels, `AWSCURRENT` where none are said. The first version is always current.

    Raises TooManyLabels.
    """
    wanted = frozenset(labels) or frozenset({CURRENT})
    if holder(stages, CURRENT) is None:
        wanted |= {CURRENT}
    return _moved(stages, version, wanted)


def move(stages: Stages, label: str, remove_from: str | None, move_to: str | None) -> dict[str, frozenset[str]]:
    """With that label taken from one version, given to another, or both. Raises StageFault, TooManyLabels."""
    has = holder(stages, label)
    if remove_from is not None and has != remove_from:
        raise StageFault(f"The staging label {label} isn't currently attached to version {remove_from}.")
    if move_to is not None:
        if has not in (None, move_to) and remove_from is None:
            raise StageFault(
                f"The parameter RemoveFromVersionId can't be empty. Staging label {label} is currently attached to "
                f"version {has}, so you must explicitly reference that version in RemoveFromVersionId."
            )
        return _moved(stages, move_to, frozenset({label}))
    if remove_from is None:
        raise StageFault("You must provide a value for either MoveToVersionId or RemoveFromVersionId.")
    if label == CURRENT:
        only = "You can only move staging label AWSCURRENT to a different secret version."
        raise StageFault(f"{only} It can't be completely removed.")
    return {id: labels - {label} for id, labels in stages.items()}


def _moved(stages: Stages, version: str, wanted: frozenset[str]) -> dict[str, frozenset[str]]:
    former = holder(stages, CURRENT)
    found = {id: labels - wanted for id, labels in stages.items()}
    found[version] = found.get(version, frozenset()) | wanted
    if CURRENT in wanted and former not in (None, version):
        assert former is not None
        found = {id: labels - {PREVIOUS} for id, labels in found.items()}
        found[former] = (found[former] - {PENDING}) | {PREVIOUS}
    if any(len(labels) > MOST_LABELS for labels in found.values()):
        raise TooManyLabels(f"A version can have up to {MOST_LABELS} staging labels.")
    return found
