"""`python -m aerekos_cloud` is the command `aerekos`: for what must not depend on where that script lies."""

from aerekos_cloud import aerekos

aerekos()
