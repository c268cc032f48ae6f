"""What the volumes of a Service hold → its status. Rounded, and kept while it changes little: a status that changes
with each pass would be written with each pass.
"""

from __future__ import annotations

from collections.abc import Mapping

from crds.kinds.service import Service, VolumeStatus
from crds.quantity import format_bytes, parse_quantity

MEASURE_AGAIN_SECONDS = 300.0
_NOTABLE = 0.05


def note_volumes(service: Service, used: Mapping[str, int]) -> None:
    """Each volume that was measured."""
    before = {each.name: each.used for each in service.status.volumes}
    service.status.volumes = [
        VolumeStatus(name=each.name, used=_told(used[each.name], before.get(each.name)), size=each.size or "")
        for each in service.spec.volumes
        if each.name in used
    ]


def overfull(service: Service) -> list[str]:
    """The volumes that hold more than they are meant to, in words."""
    return [
        f"{each.name} holds {each.used} of {each.size}"
        for each in service.status.volumes
        if each.size and parse_quantity(each.used) > parse_quantity(each.size)
    ]


def _told(size: int, before: str | None) -> str:
    if before is not None and abs(size - (old := int(parse_quantity(before)))) <= _NOTABLE * old:
        return before
    return format_bytes(size)
