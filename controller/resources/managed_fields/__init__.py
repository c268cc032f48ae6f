"""Owners of fields: `metadata.managedFields`, and server-side apply, which is decided by them.

Source: Kubernetes "Server-Side Apply" and sigs.k8s.io/structured-merge-diff.
"""
