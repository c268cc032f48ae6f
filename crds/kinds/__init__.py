"""The core kinds, one file each. Managed services bring their own beside their code."""
