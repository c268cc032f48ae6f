"""Engines of this machine, without a cloud: which are installed, and installing one from Debian's packages."""
