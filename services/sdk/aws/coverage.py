"""What of an AWS service's model is done, and why the rest is refused: each service says it in `coverage.py`.

    COVERAGE = Coverage("kms", operations_of(OPERATIONS), refused=(("asymmetric keys", ("Sign", "Verify")), ...))

`docs/aws/<service>.md` is made of it (`make reference`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from services.sdk.aws.model import ServiceModel, load_model
from services.sdk.aws.operations import Operation
from services.sdk.aws.protocols.shapes import input_ref

NOT_YET = "not here yet"


class Served(NamedTuple):
    """An operation that is answered. `refused`: members of the model that are refused when they are given."""

    permission: str
    refused: tuple[str, ...] = ()


@dataclass(frozen=True)
class Coverage:
    """served: by AWS's name of the operation. refused: reasons, each with the words that operations of it have in
    their names; the first that fits counts. answer: what a refused operation gets.
    differences: what is done in another way than AWS does it, a sentence each.
    """

    model: str
    served: Mapping[str, Served]
    refused: tuple[tuple[str, tuple[str, ...]], ...]
    answer: str
    notes: str = ""
    differences: tuple[str, ...] = ()

    def reason_of(self, operation: str) -> str:
        """Why an operation is refused."""
        fitting = (reason for reason, words in self.refused if any(word in operation for word in words))
        return next(fitting, NOT_YET)

    def operations(self) -> dict[str, Served | str]:
        """Every operation of the model: how it is served, or why it is refused. Raises LookupError."""
        names = load_model(self.model).operations
        if surplus := sorted(set(self.served) - set(names)):
            raise LookupError(f"{self.model} has no operation {', '.join(surplus)}")
        return {name: self.served.get(name) or self.reason_of(name) for name in sorted(names)}


def served_operations(model: ServiceModel, declared: Mapping[str, Operation]) -> dict[str, Served]:
    """What a service that stands on `AwsApp` serves."""
    return {name: Served(_permission(each), _refused(model, each)) for name, each in declared.items()}


def _permission(declared: Operation) -> str:
    wanted = declared.permission
    return f"{wanted.verb} {wanted.kind.plural}" if wanted else ""


def _refused(model: ServiceModel, declared: Operation) -> tuple[str, ...]:
    ref = input_ref(model, declared.name)
    if ref is None or declared.understands is None:
        return ()
    return tuple(name for name in ref.members if name not in declared.understands)
