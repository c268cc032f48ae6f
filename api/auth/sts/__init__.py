"""The decisions of AWS STS: who may become what, for how long, within which limits."""
