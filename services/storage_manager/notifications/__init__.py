"""Notifications of buckets: who is told of what happens to objects, kept with the change itself, and delivered."""
