"""Which events a configuration means, what it may say, and that no event of an acknowledged change is lost."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.storage_manager.configuration.notification import EVENTS, check_notification, told
from services.storage_manager.errors import S3Error
from services.storage_manager.metadata import MetadataIndex, Object
from services.storage_manager.notifications.event_messages import Origin
from services.storage_manager.notifications.object_events import ObjectEvents
from services.storage_manager.notifications.outbox import NOTIFICATION, Outbox, Route, kept_configuration
from services.storage_manager.replication.change_log import ChangeLog

Json = dict[str, Any]
ARN = "arn:aws:sqs:us-east-1:000000000000:q"
ORIGIN = Origin("AWS:ann", "192.0.2.1", "r", "000000000000")


def queue(events: list[str], prefix: str = "", suffix: str = "", **more: Any) -> Json:
    rules = [{"Name": "prefix", "Value": prefix}] if prefix else []
    rules += [{"Name": "suffix", "Value": suffix}] if suffix else []
    return {"QueueArn": ARN, "Events": events, "Filter": {"Key": {"FilterRules": rules}}, **more}


def code_of(*configurations: Json, **more: Any) -> str:
    with pytest.raises(S3Error) as refused:
        check_notification({"QueueConfigurations": list(configurations), **more})
    return refused.value.code


def test_what_is_refused() -> None:
    created = ["s3:ObjectCreated:*"]
    assert code_of(queue(["s3:ObjectEaten:*"])) == code_of(queue(["ObjectCreated:Put"])) == "InvalidArgument"
    assert code_of(queue(["s3:ObjectRestore:Completed"])) == code_of(queue(["s3:Replication:*"])) == "NotImplemented"
    assert code_of(queue(created, QueueArn=f"{ARN}.fifo")) == "InvalidArgument"
    assert code_of(queue(created, QueueArn=ARN.replace("sqs", "sns"))) == "InvalidArgument"
    assert code_of(queue(created), queue(["s3:ObjectCreated:Put"])) == "InvalidArgument"  # both would tell of one
    assert code_of(queue(created, "a/", Id="1"), queue(["s3:ObjectRemoved:*"], Id="1")) == "InvalidArgument"
    assert code_of(queue(created, "a"), queue(created, "ab", ".x")) == "InvalidArgument"
    two = {"Key": {"FilterRules": [{"Name": "prefix", "Value": "a"}, {"Name": "Prefix", "Value": "b"}]}}
    assert code_of(queue(created, Filter=two)) == "InvalidArgument"
    assert code_of(LambdaFunctionConfigurations=[{"Events": created}]) == "NotImplemented"
    apart = [queue(created, "a/"), queue(created, "b/"), queue(["s3:ObjectRemoved:*"], "a/")]
    assert len(check_notification({"QueueConfigurations": apart})["QueueConfigurations"]) == 3


def test_repeated_events_are_one_and_cost_nothing_more() -> None:
    """As many as a document may have, in as many configurations as there may be: judged in well under a second."""
    many = ["s3:ObjectCreated:Put", "s3:ObjectRemoved:*"] * 250
    apart = [queue(many, f"{number:03}/") for number in range(100)]
    before = time.process_time()
    kept = check_notification({"QueueConfigurations": apart})["QueueConfigurations"]
    assert all(each["Events"] == many[:2] for each in kept)
    assert code_of(*[queue(many * 100, f"{number}") for number in range(2)], queue(many, "0/")) == "InvalidArgument"
    assert code_of(*apart, *[queue(["never looked at"])] * 10_000) == "InvalidArgument"
    assert time.process_time() - before < 1.0


_PARTS = st.text("ab/", max_size=3)
_WANTED = st.sampled_from([*(f"s3:{each}" for each in EVENTS), "s3:ObjectCreated:*", "s3:ObjectRemoved:*"])
_QUEUES = st.lists(st.builds(queue, st.lists(_WANTED, min_size=1, max_size=2), _PARTS, _PARTS), max_size=3)


@settings(max_examples=60)
@given(_QUEUES, st.sampled_from(EVENTS), st.text("ab/", min_size=1, max_size=6))
def test_an_event_is_told_once_at_most(queues: list[Json], event: str, key: str) -> None:
    """Whatever was not refused as ambiguous."""
    try:
        checked = check_notification({"QueueConfigurations": queues})
    except S3Error:
        return
    wanted = [
        each
        for each in queues
        if any(f"s3:{event}" == name or name == f"s3:{event.partition(':')[0]}:*" for name in each["Events"])
        and all(
            key.startswith(rule["Value"]) if rule["Name"] == "prefix" else key.endswith(rule["Value"])
            for rule in each["Filter"]["Key"]["FilterRules"]
        )
    ]
    assert len(told(checked, event, key)) == len(wanted) <= 1


def an_index(folder: Path) -> tuple[MetadataIndex, Outbox]:
    metadata = MetadataIndex(folder / "book.db")
    checked = check_notification({"QueueConfigurations": [queue(["s3:ObjectCreated:*"])]})
    metadata.put_configuration("b", NOTIFICATION, kept_configuration(checked, "box", "default"))
    return metadata, ObjectEvents(metadata).outbox


KILLED = """
import os, pathlib, signal, sys
from services.storage_manager.tests import test_notification_rules as rules
metadata, outbox = rules.an_index(pathlib.Path(sys.argv[1]))
with metadata.transaction():
    for number in range(3):
        rules.put(metadata, f"whole-{number}")
db = metadata.connection()
db.execute("BEGIN IMMEDIATE")
rules.put(metadata, "never")
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_bus_gets_all_events_beside_the_queue_that_wants_some(tmp_path: Path) -> None:
    metadata, outbox = an_index(tmp_path)
    asked = {"QueueConfigurations": [queue(["s3:ObjectCreated:*"], "in/")], "EventBridgeConfiguration": {}}
    checked = check_notification(asked)
    assert checked["EventBridgeConfiguration"] == {}
    metadata.put_configuration("b", NOTIFICATION, kept_configuration(checked, "box", "default"))
    for key in ("in/a", "out/b"):
        put(metadata, key)
    bus = "arn:aws:events:us-east-1:000000000000:event-bus/default"
    routes = {each.target: each for each in outbox.routes("b")}
    assert outbox.waiting() == {routes[bus]: 2, routes[ARN]: 1}
    assert outbox.named(routes.values()) == set(routes.values())
    told = [json.loads(json.loads(each.body)["Detail"])["object"] for each in outbox.page(routes[bus], 10)]
    assert [each["key"] for each in told] == ["in/a", "out/b"] and told[0]["sequencer"] < told[1]["sequencer"]
    metadata.put_configuration("b", NOTIFICATION, kept_configuration({}, "box", "default"))
    assert outbox.named(routes.values()) == set()


def put(metadata: MetadataIndex, key: str) -> None:
    new = Object(key, 1, "e", 0.0, {}, ())
    events = ObjectEvents(metadata)
    events.of("b", "ObjectCreated:Put", ORIGIN, lambda: metadata.put("b", new))()


def waiting_keys(outbox: Outbox) -> list[str]:
    (route,) = outbox.routes()
    assert route == Route("b", "box", "default", ARN)
    return [json.loads(each.body)["Records"][0]["s3"]["object"]["key"] for each in outbox.page(route, 100)]


def test_a_killed_writer_leaves_the_events_of_what_was_acknowledged_and_no_others(tmp_path: Path) -> None:
    died = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
    assert died.returncode == -signal.SIGKILL
    metadata, outbox = an_index(tmp_path)
    assert waiting_keys(outbox) == ["whole-0", "whole-1", "whole-2"]
    assert [each.key for each in metadata.page("b", "", True, 10)] == ["whole-0", "whole-1", "whole-2"]


def test_sequencers_grow_though_the_clock_goes_back_and_the_outbox_was_empty(tmp_path: Path) -> None:
    metadata, outbox = an_index(tmp_path)
    metadata.clock = lambda: 2e9
    put(metadata, "k")
    (route,) = outbox.routes()
    (first,) = outbox.page(route, 10)
    outbox.drop([first.number])
    metadata.clock = lambda: 1e9
    put(metadata, "k")
    (second,) = outbox.page(route, 10)
    sequencers = [json.loads(each.body)["Records"][0]["s3"]["object"]["sequencer"] for each in (first, second)]
    assert sequencers == sorted(sequencers) and sequencers[0] != sequencers[1]
    assert outbox.oldest(route, 0.0, 0, 10) == [] and outbox.oldest(route, 1.5e9, 0, 10) == [second.number]


def test_copies_follow_the_outbox_also_of_an_index_that_was_followed_before(tmp_path: Path) -> None:
    metadata, _ = an_index(tmp_path)
    log = ChangeLog(metadata)
    log.enable()
    for verb in ("insert", "update", "delete"):  # as the version before left it
        metadata.connection().execute(f"DROP TRIGGER log_events_{verb}")
    log = ChangeLog(metadata)
    put(metadata, "k")
    assert "events" in {each.table for each in log.batch(0, 100, 1 << 20).changes}
