"""Keys of the cloud take turns by hand (`aerekos keys rotate --what ...`): one protocol, one class per key.

A turn has two halves: another generation is made and used at once; the older ones open what was made with them, until
`drop_old`, which refuses as long as something needs them. Each half is one file written whole: who is killed in
between has the old file or the new one, and may ask again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

from controller.kit import generations
from controller.kit.clock import Clock
from controller.store.sealing import Sealing
from crds.errors import BadRequest, Conflict

# Until then an instance from before may still be at work, with the older key alone.
SETTLING = timedelta(minutes=10)
Counting = Callable[[], Mapping[int, int]]
RollOut = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Rotated:
    """The state after a step of a rotation. `waiting`: how many things still need an older generation; `then`: what
    is to be done next.
    """

    newest: str
    older: int
    waiting: int
    then: str

    def wire(self, what: str) -> dict[str, Any]:
        return {"what": what, "newest": self.newest, "older": self.older, "waiting": self.waiting, "then": self.then}


class KeyRotation(Protocol):
    """One key."""

    async def rotate(self, *, revoke: bool) -> Rotated:
        """Another generation. Raises Conflict while the last turn is not done, BadRequest where `revoke` would lose
        data.
        """
        ...

    async def drop_old(self) -> Rotated:
        """Forgets all but the newest; nothing happens when there are none. Raises Conflict while they are needed."""
        ...


class RootKey:
    """`secrets/root-key`: services seal under the newest, and seal again what is under older ones."""

    def __init__(
        self,
        file: Path,
        clock: Clock,
        under: Counting,
        roll_out: RollOut,
        wrapping: generations.Wrapping | None = None,
    ) -> None:
        """`under`: how many key materials are sealed under which generation. `wrapping`: the token that new ones are
        wrapped by; none leaves them in the file.
        """
        self._file, self._clock, self._under, self._roll_out = file, clock, under, roll_out
        self._wrapping = wrapping

    async def rotate(self, *, revoke: bool) -> Rotated:
        if revoke:
            raise _would_lose("root")
        self._refuse_unfinished(generations.read(self._file, closed=True))
        try:
            made = generations.rotate(self._file, self._clock.now(), self._wrapping, closed=True)
        except OSError as refused:
            if self._wrapping is None:
                raise
            raise Conflict(f"the token wraps no new root key: {refused.strerror}") from refused
        self._roll_out()
        return self._turned(made)

    async def drop_old(self) -> Rotated:
        held = generations.read(self._file, closed=True)
        if len(held) == 1:
            return self._turned(held)
        self._refuse_needed(held)
        made = held[0].made
        if made is not None and self._clock.now() - made < SETTLING:
            minutes = int(SETTLING.total_seconds() // 60)
            raise Conflict(f"instances from before the rotation may still be at work; try {minutes} minutes after it")
        held = generations.drop_old(self._file, closed=True)
        self._roll_out()
        return self._turned(held)

    def _refuse_unfinished(self, held: tuple[generations.Generation, ...]) -> None:
        if len(held) > 1:
            self._refuse_needed(held)
            raise _unfinished("root")

    def _refuse_needed(self, held: tuple[generations.Generation, ...]) -> None:
        waiting = self._waiting(held)
        if waiting:
            raise Conflict(
                f"{waiting} key materials are still sealed under an older root key; they are sealed again by "
                "itself while it runs, its log says what keeps it from that"
            )

    def _waiting(self, held: tuple[generations.Generation, ...]) -> int:
        """Without what was given up with a lost root key: no generation that is held opens it."""
        newest, oldest = held[0].number, held[-1].number
        return sum(count for number, count in self._under().items() if number != newest and not 0 <= number < oldest)

    def _turned(self, held: tuple[generations.Generation, ...]) -> Rotated:
        waiting, older = self._waiting(held), len(held) - 1
        then = "everything is sealed again by itself; then: aerekos keys rotate --what root --drop-old"
        where = " (wrapped by a PKCS#11 token)" if held[0].wrapped else ""
        return Rotated(f"generation {held[0].number}{where}", older, waiting, then if older else "")


class StoreKey:
    """`secrets/store-key`: what is written is sealed with the newest at once, what lies there at the next start."""

    def __init__(self, sealing: Sealing, clock: Clock) -> None:
        self._sealing, self._clock = sealing, clock

    async def rotate(self, *, revoke: bool) -> Rotated:
        if revoke:
            raise _would_lose("store")
        if self._sealing.older:
            self._refuse_unsettled()
            raise _unfinished("store")
        self._sealing.rotate(self._clock.now())
        return self._turned()

    async def drop_old(self) -> Rotated:
        if self._sealing.older:
            self._refuse_unsettled()
            self._sealing.drop_old()
        return self._turned()

    def _refuse_unsettled(self) -> None:
        if not self._sealing.settled:
            raise Conflict(
                "what lies in the store is still sealed with an older key; a start seals it again: aerekos down; "
                "aerekos up"
            )

    def _turned(self) -> Rotated:
        older = self._sealing.older
        then = (
            "aerekos down; aerekos up   (a start seals what lies there again); "
            "then: aerekos keys rotate --what store --drop-old"
        )
        return Rotated(f"key {self._sealing.newest}", older, 0, then if older else "")


class MasterKey:
    """`secrets/master-key`: the newest derives; what older ones derived is good until they are dropped."""

    def __init__(
        self,
        file: Path,
        clock: Clock,
        use: Callable[[tuple[generations.Generation, ...]], None],
        seal_again: Callable[[], Awaitable[int]],
        roll_out: RollOut,
    ) -> None:
        """`use`: derive with these from now on; `seal_again`: what is sealed, with how many left that do not open."""
        self._file, self._clock, self._use = file, clock, use
        self._seal_again, self._roll_out = seal_again, roll_out

    async def rotate(self, *, revoke: bool) -> Rotated:
        held = generations.read(self._file)
        if len(held) > 1 and not revoke:
            raise _unfinished("master")
        self._take(generations.rotate(self._file, self._clock.now()))
        return await self._drop() if revoke else await self._turned()

    async def drop_old(self) -> Rotated:
        return await self._drop() if len(generations.read(self._file)) > 1 else await self._turned()

    async def _drop(self) -> Rotated:
        left = await self._seal_again()
        if left:
            raise Conflict(f"{left} second factors are not sealed again yet and would be lost; try --drop-old again")
        self._take(generations.drop_old(self._file))
        return await self._turned()

    async def _turned(self) -> Rotated:
        held, left = generations.read(self._file), await self._seal_again()
        then = (
            "services get their new secrets by themselves; machines within five minutes; AWS keys made before "
            "go on until: aerekos keys rotate --what master --drop-old"
        )
        return Rotated(f"generation {held[0].number}", len(held) - 1, left, then if len(held) > 1 else "")

    def _take(self, held: tuple[generations.Generation, ...]) -> None:
        self._use(held)
        self._roll_out()


def _would_lose(what: str) -> BadRequest:
    return BadRequest(
        f"what the {what} key sealed would be lost: rotate it, and --drop-old when nothing needs the older ones"
    )


def _unfinished(what: str) -> Conflict:
    return Conflict(
        "the last rotation is not finished, older keys are still kept; end it before the next: "
        f"aerekos keys rotate --what {what} --drop-old"
    )
