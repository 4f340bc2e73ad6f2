"""The ledger of slots: which replicas there are, and who holds which of their slots until when.

A replica reports every half second, a gateway visits as often; both say all that they hold, so that
a message that was lost, or a ledger that had to begin anew, is made good by the next one. Whoever
falls silent is forgotten: a gateway's leases run out, a replica is taken for lost.

It is pure: times (seconds, any clock that does not go back) come in, and it knows no network.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from antiphon.errors import AntiphonError

LEASE = 8.0  # seconds after its gateway's last visit at which a lease runs out
SILENCE = 4.0  # seconds without a report after which a replica is taken for lost


class LeaseError(AntiphonError):
    """No replica has the name that was given."""


@dataclass(frozen=True)
class Lease:
    """A right to one slot of a replica."""

    id: str
    replica: str
    life: int
    """Which start of the replica; one that was started anew has lost its calls."""
    draining: bool = False
    """A lease that is not in use yet should be given back."""


@dataclass(frozen=True)
class Report:
    """What a replica says of itself."""

    replica: str
    life: int
    """When it was started, ns; a later start has a larger one."""
    bundle: str
    """The name of the bundle that it runs."""
    slots: int
    lines: Mapping[str, str]
    """Its open lines: the id of each one's lease, and who holds it."""


@dataclass(frozen=True)
class Holding:
    """What a gateway holds after a visit."""

    leases: tuple[Lease, ...]
    free: int
    """Slots of its bundle that nobody holds."""


@dataclass(frozen=True)
class Shown:
    """A replica, for people."""

    replica: str
    bundle: str
    slots: int
    used: int
    """Slots that are leased or have a call."""
    calls: int
    draining: bool
    silent: float
    """Seconds since its last report."""


@dataclass
class _Replica:
    report: Report
    seen: float
    draining: bool


@dataclass
class _Held:
    replica: str
    life: int
    holder: str
    until: float


class Ledger:
    """All replicas and all leases. Every method is told the time.

    lease, silence: seconds, see LEASE and SILENCE. A lease must outlive a silence: else a slot
    could be leased anew while its replica, cut off for a moment, still has the call in it.
    """

    def __init__(self, *, lease: float = LEASE, silence: float = SILENCE) -> None:
        if lease <= silence:
            raise AntiphonError("a lease must last longer than a replica may be silent")
        self._lease, self._silence = lease, silence
        self._epoch, self._count = secrets.token_hex(4), 0
        self._replicas: dict[str, _Replica] = {}
        self._leases: dict[str, _Held] = {}
        self._drained: set[str] = set()  # names that are to drain, whatever life they have

    # -- replicas -----------------------------------------------------------------

    def report(self, now: float, report: Report) -> frozenset[str]:
        """A replica says what it holds: it is known from now on, or still.

        Returns the lines that it must end: nobody holds their leases any more.
        """
        self._tidy(now)
        known = self._replicas.get(report.replica)
        if known is not None and report.life < known.report.life:
            return frozenset(report.lines)  # the last word of an earlier start
        if known is None or report.life > known.report.life:
            self._forget(report.replica)
            draining = report.replica in self._drained
            known = self._replicas[report.replica] = _Replica(report, now, draining)
        known.report, known.seen = report, now
        for lease, holder in report.lines.items():
            # An id of another epoch was given by the ledger before this one: it counts.
            if lease not in self._leases and not lease.startswith(f"{self._epoch}-"):
                self._leases[lease] = _Held(report.replica, report.life, holder, now + self._lease)
        return frozenset(lease for lease in report.lines if lease not in self._leases)

    def drain(self, now: float, replica: str) -> None:
        """No new calls for a replica; those that it has go on. Raises LeaseError."""
        self._tidy(now)
        if replica not in self._replicas:
            raise LeaseError(f"there is no replica {replica!r}; there are {self._names()}")
        self._drained.add(replica)
        self._replicas[replica].draining = True

    def lost(self, now: float, replica: str, life: int) -> None:
        """A gateway saw a replica die, or it was taken away: its leases are void."""
        self._tidy(now)
        known = self._replicas.get(replica)
        if known is not None and known.report.life == life:
            self._forget(replica)

    def leave(self, now: float, replica: str) -> None:
        """A replica is taken away for good; its name may be given anew."""
        self._tidy(now)
        self._forget(replica)
        self._drained.discard(replica)

    # -- gateways -----------------------------------------------------------------

    def visit(
        self, now: float, holder: str, bundle: str, *, want: int = 0, back: Collection[str] = ()
    ) -> Holding:
        """A gateway gives the leases `back`, keeps its others, and asks for `want` more."""
        self._tidy(now)
        for lease in back:
            held = self._leases.get(lease)
            if held is not None and held.holder == holder:
                del self._leases[lease]
        for held in self._leases.values():
            if held.holder == holder:
                held.until = now + self._lease
        for _ in range(want):
            replica = self._roomiest(bundle)
            if replica is None:
                break
            self._count += 1
            lease = f"{self._epoch}-{self._count}"
            until = now + self._lease
            self._leases[lease] = _Held(replica.replica, replica.life, holder, until)
        mine = tuple(
            Lease(lease, held.replica, held.life, self._draining(held.replica))
            for lease, held in self._leases.items()
            if held.holder == holder
        )
        return Holding(mine, sum(map(self._free, self._open(bundle))))

    # -- people -------------------------------------------------------------------

    def show(self, now: float) -> tuple[Shown, ...]:
        """Every replica, by name."""
        self._tidy(now)
        return tuple(
            Shown(
                name,
                known.report.bundle,
                known.report.slots,
                known.report.slots - self._free(name),
                len(known.report.lines),
                known.draining,
                now - known.seen,
            )
            for name, known in sorted(self._replicas.items())
        )

    # -- within -------------------------------------------------------------------

    def _open(self, bundle: str) -> list[str]:
        return [
            name
            for name, known in sorted(self._replicas.items())
            if known.report.bundle == bundle and not known.draining
        ]

    def _roomiest(self, bundle: str) -> Report | None:
        """The replica with the largest share of free slots: calls are spread."""
        found = [name for name in self._open(bundle) if self._free(name) > 0]
        if not found:
            return None
        most = max(found, key=lambda name: self._free(name) / self._replicas[name].report.slots)
        return self._replicas[most].report

    def _free(self, replica: str) -> int:
        """Slots that are neither leased nor, by the last report, still in use."""
        report = self._replicas[replica].report
        taken = {lease for lease, held in self._leases.items() if held.replica == replica}
        return max(0, report.slots - len(taken | set(report.lines)))

    def _draining(self, replica: str) -> bool:
        known = self._replicas.get(replica)
        return known is not None and known.draining

    def _names(self) -> str:
        return ", ".join(sorted(self._replicas)) or "none"

    def _forget(self, replica: str) -> None:
        self._replicas.pop(replica, None)
        self._leases = {id: held for id, held in self._leases.items() if held.replica != replica}

    def _tidy(self, now: float) -> None:
        for name, known in list(self._replicas.items()):
            if now - known.seen > self._silence:
                self._forget(name)
        self._leases = {id: held for id, held in self._leases.items() if held.until >= now}
