"""Parameters of a Valkey server that people set, each with its default: those that a running server takes, in every
version from Redis 7.0 on, and that neither lead out of it nor take back what a Database promises. Pure.

Source: valkey.conf and redis.conf of 7.0, 8 and 9.
"""

from __future__ import annotations

from collections.abc import Mapping

_LONGEST_VALUE = 1024
PARAMETERS: Mapping[str, str] = {
    "active-defrag-cycle-max": "25",
    "active-defrag-cycle-min": "1",
    "active-defrag-ignore-bytes": "104857600",
    "active-defrag-max-scan-fields": "1000",
    "active-defrag-threshold-lower": "10",
    "active-defrag-threshold-upper": "100",
    "active-expire-effort": "1",
    "activerehashing": "yes",
    "auto-aof-rewrite-min-size": "67108864",
    "auto-aof-rewrite-percentage": "100",
    "busy-reply-threshold": "5000",
    "client-query-buffer-limit": "1073741824",
    "hash-max-listpack-entries": "512",
    "hash-max-listpack-value": "64",
    "hll-sparse-max-bytes": "3000",
    "hz": "10",
    "latency-monitor-threshold": "0",
    "lfu-decay-time": "1",
    "lfu-log-factor": "10",
    "list-compress-depth": "0",
    "list-max-listpack-size": "-2",
    "maxclients": "10000",
    "maxmemory": "0",
    "maxmemory-eviction-tenacity": "10",
    "maxmemory-policy": "noeviction",
    "maxmemory-samples": "5",
    "notify-keyspace-events": "",
    "proto-max-bulk-len": "536870912",
    "set-max-intset-entries": "512",
    "slowlog-log-slower-than": "10000",
    "slowlog-max-len": "128",
    "stream-node-max-bytes": "4096",
    "stream-node-max-entries": "100",
    "tcp-keepalive": "300",
    "timeout": "0",
    "tracking-table-max-keys": "1000000",
    "zset-max-listpack-entries": "128",
    "zset-max-listpack-value": "64",
}


def valkey_parameter_fault(name: str, value: str) -> str:
    """Why that parameter cannot be set; empty when it can."""
    if name not in PARAMETERS:
        return f"{name} is no parameter of Valkey that can be set here; docs/databases.md lists those that can"
    if len(value) > _LONGEST_VALUE or not value.isprintable() or not value.isascii():
        return f"the value of {name} must be one line of at most {_LONGEST_VALUE} ASCII characters"
    return ""


def quoted(value: str) -> str:
    """As sds.c splits the lines of its file."""
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
