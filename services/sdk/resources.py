"""The Resources protocol and durable files, for authors (a managed service does not import controller)."""

from controller.client.protocol import Listing, Resources, WatchEvent
from controller.kit.backoff import Backoff
from controller.kit.clock import Clock, SystemClock
from controller.kit.files import write_private, write_whole
from controller.kit.threads import BlockingExecutor, Inline, Threads

__all__ = [
    "Backoff",
    "BlockingExecutor",
    "Clock",
    "Inline",
    "Listing",
    "Resources",
    "SystemClock",
    "Threads",
    "WatchEvent",
    "write_private",
    "write_whole",
]
