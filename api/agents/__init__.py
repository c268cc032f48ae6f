"""How a machine becomes part of the cloud's Swarm: one line to run there, and what that line fetches."""
