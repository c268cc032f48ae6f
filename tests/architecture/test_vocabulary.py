"""Names that need a translation do not come back: old word, and the field's word that stands for it now.

The lists are data: a name that is given up for another goes in, and none comes out.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("agent", "api", "cli", "controller", "crds", "services")

CLASSES = {
    "agent": {
        "Besides": "AgentExtension",
        "Door": "ConductorClient",
        "NotWelcome": "AccessRevoked",
        "Gate": "ManagerRedirect",
        "Road": "Upstream",
        "ImageDoor": "RegistryProxy",
        "Asked": "ProbeResult",
        "Leads": "RedirectRules",
        "WaitingRoom": "ConnectionHold",
        "Applying": "NatApplier",
        "Looks": "InterfaceMonitor",
        "Here": "LocalInterfaces",
        "Moving": "AddressTracker",
        "Oneself": "LocalPeer",
        "Standing": "NatState",
        "Post": "DatagramTransport",
        "Place": "PeerAddress",
    },
    "api": {
        "Door": "ConductorApp",
        "_Sent": "_ResponseRecorder",
        "Wish": "ExecRequest",
        "UsageTold": "UsageReport",
        "Images": "RegistryProxy",
        "Asked": "JoinInfoRequest",
        "ContainerNews": "ContainerEvents",
        "PeerAsked": "PeerProbe",
        "Joining": "WriteCoalescer",
        "Whereabouts": "PeerAddressBook",
        "Answer": "Response",
        "Ask": "ApiRequest",
        "Beside": "StorageWithVirtualObjects",
        "Member": "Subscriber",
        "Crowd": "WatchBroadcaster",
        "GivenRoles": "BuiltinRoles",
        "Place": "ListPosition",
        "Choice": "LogOptions",
        "_View": "_WatchEncoder",
    },
    "cli": {
        "House": "Components",
        "AsProcess": "ProcessEnvironment",
        "AsContainer": "ContainerEnvironment",
        "Wanted": "GetOptions",
    },
    "controller": {
        "ThreadDoor": "BlockingExecutor",
        "Patience": "RetryState, CrashBackoff",
        "Desk": "KindController",
        "_Look": "_Attempt",
        "News": "EventKey, RuntimeEvent",
        "_Told": "_Recorded",
        "EventTeller": "EventRecorder",
        "Teller": "EventRecorder, EventDiffer",
        "Given": "RuntimeInputs",
        "Leaving": "WorkerRemoval",
        "Seen": "WatchEvent",
        "How": "WriteOptions",
        "BothDrivers": "CompositeDriver",
        "Hinted": "SupportsRefresh",
        "Verdict": "ProbeResult",
        "Life": "ProcessRun",
        "Circumstances": "PlanContext",
        "Keeper": "SwarmServiceController",
        "ContainerNews": "ContainerEvent",
        "Look": "SwarmSnapshot",
        "Managing": "SwarmAdmin",
        "Spent": "CpuSample",
        "Place": "SwarmNodeInfo",
        "Settler": "ServiceWriter",
        "Watch": "RefreshScheduler",
        "Surroundings": "SpecDependencies",
        "Living": "KindIndex",
        "Happening": "StoreEvent",
        "Movable": "SeekableFollower",
        "Hands": "ClockRow",
        "Writing": "GroupCommitter",
    },
    "crds": {"Manifest": "KubeObject"},
    "services": {
        "Label": "KeyVersion",
        "Powers": "CallerAccess",
        "Found": "ResolvedKey",
        "AwsGate": "AwsAuthenticator",
        "Instance": "ServiceContext",
        "Measures": "ServiceMetrics",
        "Mirror": "Informer",
        "House": "ServiceHarness, S3Context",
        "SdkGate": "S3Authenticator",
        "Ledger": "MetadataDb",
        "Box": "BlobCipher",
        "Answer": "S3Response",
        "Keys": "DataKeys",
        "Wish": "WritePrecondition",
        "Place": "BucketRef",
        "Gate": "Authenticator",
        "Readers": "BlobPins",
    },
}
FILES = (
    "agent/besides.py",
    "agent/door.py",
    "agent/in_swarm",
    "agent/moving",
    "api/door.py",
    "api/wire",
    "api/images.py",
    "api/routes_news.py",
    "api/whereabouts.py",
    "api/gateway/aws_door.py",
    "cli/conductor",
    "cli/founding.py",
    "cli/connecting.py",
    "cli/leaving.py",
    "controller/kit/ending.py",
    "controller/loop",
    "controller/resources/forming.py",
    "controller/resources/keeping.py",
    "controller/runtime/both.py",
    "controller/runtime/process/patience.py",
    "controller/runtime/swarm/wishing.py",
    "controller/runtime/swarm/seeing.py",
    "controller/runtime/swarm/looking.py",
    "controller/runtime/swarm/telling.py",
    "controller/runtime/swarm/watching.py",
    "controller/runtime/swarm/settling.py",
    "controller/runtime/swarm/keeping.py",
    "controller/runtime/swarm/checking.py",
    "controller/runtime/swarm/docker_door.py",
    "controller/runtime/swarm/managing.py",
    "controller/runtime/swarm/place.py",
    "controller/store/writing.py",
    "services/sdk/instance.py",
    "services/sdk/measures.py",
    "services/sdk/mirror.py",
    "services/sdk/aws/gate.py",
    "services/key_manager/powers.py",
    "services/storage_manager/house.py",
    "services/storage_manager/book",
    "services/storage_manager/keys.py",
    "services/storage_manager/readers.py",
    "services/storage_manager/storing.py",
    "services/storage_manager/admitting.py",
    "services/storage_manager/service.py",
)


@cache
def _classes(package: str) -> frozenset[str]:
    """Names of all classes at the top of a module of that package, its tests left out."""
    files = [each for each in (ROOT / package).rglob("*.py") if "tests" not in each.parts]
    trees = (ast.parse(each.read_text(encoding="utf-8")) for each in files)
    return frozenset(node.name for tree in trees for node in tree.body if isinstance(node, ast.ClassDef))


def left() -> set[str]:
    """Every old name that is still here."""
    classes = {f"{room}: {old}" for room, names in CLASSES.items() for old in names if old in _classes(room)}
    return classes | {each for each in FILES if (ROOT / each).exists()}


def test_no_old_name_comes_back() -> None:
    assert left() == set(), "see CLASSES for the word to use"


@pytest.mark.parametrize("package", PACKAGES)
def test_every_package_is_looked_through(package: str) -> None:
    assert len(_classes(package)) > 10
