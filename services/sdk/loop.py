"""What an author of reconcilers needs from the loop (a managed service does not import controller)."""

from controller.kit.clock import Clock
from controller.loop.outcome import Outcome, Permanent, Temporary, again, done, waiting
from controller.loop.reconciler import AlsoWatch, Reader, Reconciler, Teller, World

__all__ = [
    "AlsoWatch",
    "Clock",
    "Outcome",
    "Permanent",
    "Reader",
    "Reconciler",
    "Teller",
    "Temporary",
    "World",
    "again",
    "done",
    "waiting",
]
