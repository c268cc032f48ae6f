"""Copies of the whole data folder on other workers, each kept by an instance of storage_replica (docs/adr/0023).

A follower asks for the changes after the last that it has on its disk, which says by the way that it has them. Writes
are acknowledged once every follower that keeps up has them. Everything it stores is a data folder like the one it
follows: index, segments and blobs of its own, sealed with the same data keys.
"""
