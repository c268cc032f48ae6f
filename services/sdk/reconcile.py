"""Names that an author of reconcilers needs from the loop (a managed service does not import controller)."""

from controller.kit.clock import Clock
from controller.reconcile.outcome import Outcome, Permanent, Temporary, again, done, waiting
from controller.reconcile.reconciler import AlsoWatch, Lister, Reconciler, Recorder, World

__all__ = [
    "AlsoWatch",
    "Clock",
    "Lister",
    "Outcome",
    "Permanent",
    "Reconciler",
    "Recorder",
    "Temporary",
    "World",
    "again",
    "done",
    "waiting",
]
