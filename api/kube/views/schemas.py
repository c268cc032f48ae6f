"""Schemas of views, as far as `kubectl explain` and patches need to know: their fields in OpenAPI words."""

from __future__ import annotations

from crds.schema import ANYTHING, Schema, list_map


def text(description: str = "") -> Schema:
    return {"type": "string", **_described(description)}


def number(description: str = "") -> Schema:
    return {"type": "integer", **_described(description)}


def thing(description: str = "", **properties: Schema) -> Schema:
    """An object; without properties, any."""
    inner: Schema = {"properties": properties} if properties else dict(ANYTHING)
    return {"type": "object", **_described(description), **inner}


def items(of: Schema, *keys: str, description: str = "") -> Schema:
    """A list; with keys, its items are told apart by them."""
    return {"type": "array", "items": of, **_described(description), **(list_map(*keys) if keys else {})}


def _described(description: str) -> Schema:
    return {"description": description} if description else {}


# Old clients check what they send against these: a field that is shown must be here.
CONDITIONS = items(
    thing(
        "",
        type=text(),
        status=text("True, False or Unknown."),
        reason=text(),
        message=text(),
        lastTransitionTime=text(),
        lastHeartbeatTime=text(),
    ),
    "type",
)
_KEY_REF = thing("", name=text(), key=text(), optional={"type": "boolean"})
ENV_SOURCE = thing("A key of a Secret or ConfigMap.", secretKeyRef=_KEY_REF, configMapKeyRef=_KEY_REF)
CONTAINERS = items(
    thing(
        "",
        name=text("The service's name."),
        image=text("The image; `managed/<name>` for a managed service."),
        command=items(text(), description="In place of what the image starts."),
        args=items(text(), description="What the command is told."),
        env=items(thing("", name=text(), value=text(), valueFrom=ENV_SOURCE), "name", description="Its variables."),
        resources=thing("Requests and limits of cpu, memory and ephemeral-storage."),
    ),
    "name",
    description="Always exactly one.",
)
POD_SPEC = thing(
    "Where it runs, and what.",
    nodeName=text("The worker it runs on."),
    containers=CONTAINERS,
    restartPolicy=text("Always."),
    terminationGracePeriodSeconds=number("How long it may take to stop."),
    securityContext=thing(),
)
POD_STATUS = thing(
    "How it is.",
    phase=text("Pending, Running or Failed."),
    podIP=text("Its address, as far as its runtime tells."),
    podIPs=items(thing("", ip=text())),
    hostIP=text(),
    startTime=text("When it was started."),
    conditions=CONDITIONS,
    containerStatuses=items(
        thing(
            "",
            name=text(),
            image=text(),
            imageID=text(),
            ready={"type": "boolean"},
            started={"type": "boolean"},
            restartCount=number(),
            state=thing("Running since when, or waiting for what."),
        )
    ),
)
DEPLOYMENT_SPEC = thing(
    "What is wanted.",
    replicas=number("How many copies."),
    selector=thing("Always the service's own label."),
    strategy=thing("One copy at a time; cannot be set."),
    template=thing(
        "What each copy is.",
        metadata=thing("Labels and annotations; only restartedAt can be set."),
        spec=thing("", containers=CONTAINERS),
    ),
)
DEPLOYMENT_STATUS = thing(
    "What was seen.",
    replicas=number(),
    readyReplicas=number(),
    updatedReplicas=number("Copies that are as wanted now."),
    availableReplicas=number(),
    unavailableReplicas=number(),
    observedGeneration=number(),
    conditions=CONDITIONS,
)
NODE_SPEC = thing(
    "Whether new services are placed here, and what keeps them away.",
    unschedulable={"type": "boolean", "description": "Set by cordon and drain."},
    taints=items(thing("", key=text(), value=text(), effect=text()), "key", "effect"),
)
NODE_STATUS = thing(
    "What its agent tells.",
    capacity=thing("cpu, memory, ephemeral-storage, pods."),
    allocatable=thing("The same."),
    addresses=items(thing("", type=text(), address=text()), description="Where it can be reached."),
    conditions=CONDITIONS,
    nodeInfo=thing("Its system."),
)
