"""The Resources protocol and durable files, for authors (a managed service does not import controller)."""

from controller.kit.clock import Clock, SystemClock
from controller.kit.files import write_private, write_whole
from controller.kit.threads import Inline, ThreadDoor, Threads
from controller.resources.client import Listing, Resources, WatchEvent

__all__ = [
    "Clock",
    "Inline",
    "Listing",
    "Resources",
    "SystemClock",
    "ThreadDoor",
    "Threads",
    "WatchEvent",
    "write_private",
    "write_whole",
]
