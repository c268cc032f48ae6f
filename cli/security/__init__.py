"""`aerekos doctor --security`: a running cloud against docs/hardening.md, one finding for each thing it checks."""
