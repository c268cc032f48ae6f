"""Placement of instances: filters that explain their refusal, then scores. Pure: no I/O, no clock."""

from controller.scheduler.candidate import Candidate, Needs, Request
from controller.scheduler.placing import PlacementDecision, Refusal, explain, place

__all__ = ["Candidate", "Needs", "PlacementDecision", "Refusal", "Request", "explain", "place"]
