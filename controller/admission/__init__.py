"""Admission: what is asked of a write that its author may make, before it is kept.

A chain of plugins, as in Kubernetes: they see who asks for what, and allow, refuse, warn or fill in. Knows the store
(to read), not HTTP. Writes of the conductor itself have no author and pass.
"""
