"""Where something should run: filters that explain their refusal, then scores. Pure: no I/O, no clock."""

from controller.scheduler.candidate import Candidate, Needs, Request
from controller.scheduler.placing import Decision, Refusal, explain, place

__all__ = ["Candidate", "Decision", "Needs", "Refusal", "Request", "explain", "place"]
