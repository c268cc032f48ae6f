"""Engines on this machine: finding their programs, and what can be said of their data."""
