"""Kubernetes's own workload kinds, shown from ours: nodes are workers, deployments services, pods their instances.

Clients have these kinds compiled in (`logs`, `rollout`, `drain`, `top` work with nothing else). A view holds no
state: what it shows is computed from the stored resource, and what is written to it becomes a write of that one.
"""
