"""Addresses that change without Swarm noticing.

Swarm knows every machine by the address it joined with, for ever: its identity address. When a machine's real address
changes, it keeps the identity on its loopback interface, tells all others by signed announcements, and they translate
the identity to the address where the machine is now, in the kernel. No node is ever seen Down, no task restarts.
"""

from agent.addressing.address_tracker import AddressTracker

__all__ = ["AddressTracker"]
