"""The vocabulary: what can exist, and what it looks like. Plain data, no I/O, no clock."""
