"""An account of its own for each test of the RDS API, and servers that are as a test says."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError

from crds.model import rfc3339
from services.db_manager.kinds import DATABASE, Database
from services.sdk.aws.accounts import account_of
from services.sdk.testing import ServiceHarness, User

_NUMBERS = itertools.count(1)
PASSWORD = "correct-horse-battery"
SMALL = {"DBInstanceClass": "db.t3.micro", "Engine": "postgres", "AllocatedStorage": 20, "MasterUsername": "app"}


@dataclass
class RdsAccount:
    """An account, and somebody who may everything in it."""

    harness: ServiceHarness
    owner: User

    @classmethod
    def new(cls, harness: ServiceHarness) -> RdsAccount:
        number = next(_NUMBERS)
        owner = User(f"rds-{number}", namespace=f"rds-{number}", access_key=f"AKIARDSRDSRDS{number:07}")
        return cls(harness, harness.conductor.add(owner))

    @property
    def number(self) -> str:
        return account_of(self.owner.namespace)

    def client(self, user: User | None = None) -> Any:
        return self.harness.boto3_client("rds", user or self.owner)

    def create(self, name: str, **more: Any) -> Any:
        given = {**SMALL, "MasterUserPassword": PASSWORD, **more}
        return self.client().create_db_instance(DBInstanceIdentifier=name, **given)["DBInstance"]

    def database(self, name: str) -> Database:
        found: Database = self.harness.run(self.harness.resources.get(DATABASE, name, self.owner.namespace))
        return found

    def said(self, name: str, version: str = "15.18", ready: str = "True", reason: str = "Available") -> None:
        """As its reconciler says it of a server in that state."""
        database = self.database(name)
        now = rfc3339(self.harness.conductor.clock.now())
        known: dict[str, Any] = {"status": ready, "reason": reason, "lastTransitionTime": now, "message": ""}
        known["observedGeneration"] = database.metadata.generation
        conditions = [{"type": each, **known} for each in ("Ready", "ParametersApplied")]
        restarted = (database.metadata.annotations or {}).get("aerekos.cloud/restartedAt", "")
        status = {
            "conditions": conditions,
            "version": version,
            "endpoint": {"host": "127.0.0.1", "port": 40001},
            "restartedAt": restarted,
        }
        self.harness.run(
            self.harness.resources.patch(
                DATABASE, name, {"status": status}, self.owner.namespace, subresource="status"
            )
        )

    def shown(self, name: str) -> Any:
        (found,) = self.client().describe_db_instances(DBInstanceIdentifier=name)["DBInstances"]
        return found


def refusal(call: Any, **arguments: Any) -> tuple[str, str]:
    """The code and message of what is refused."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    error = caught.value.response["Error"]
    return error["Code"], error.get("Message", "")
