"""The ledger alone, and a small world of gateways and replicas around it that may do anything."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from antiphon.errors import AntiphonError
from antiphon.serving.cluster.leases import LEASE, SILENCE, LeaseError, Ledger, Report


def report(name: str, slots: int = 2, *, life: int = 1, lines: dict[str, str] | None = None):
    return Report(name, life, "cafe", slots, lines or {})


def test_calls_are_spread_over_the_replicas_and_stop_at_the_last_slot() -> None:
    ledger = Ledger()
    ledger.report(0.0, report("a", 2))
    ledger.report(0.0, report("b", 1))
    ledger.report(0.0, Report("other", 1, "bar", 9, {}))
    held = ledger.visit(0.0, "g", "cafe", want=5)
    assert sorted(lease.replica for lease in held.leases) == ["a", "a", "b"]
    assert held.free == 0
    assert ledger.visit(0.0, "h", "cafe", want=1).leases == ()
    assert ledger.visit(0.0, "h", "nothing", want=1).leases == ()


def test_a_gateway_that_is_silent_loses_its_leases_and_one_that_visits_does_not() -> None:
    ledger = Ledger()
    now = 0.0
    ledger.report(now, report("a", 2))
    (gone,) = ledger.visit(now, "gone", "cafe", want=1).leases
    (kept,) = ledger.visit(now, "here", "cafe", want=1).leases
    while now < LEASE + 1:
        now += 1.0
        # The silent gateway's call goes on: its slot is nobody else's until the replica ended it.
        end = ledger.report(now, report("a", 2, lines={gone.id: "gone"}))
        assert end == (frozenset({gone.id}) if now > LEASE else frozenset())
        assert [each.id for each in ledger.visit(now, "here", "cafe").leases] == [kept.id]
    assert ledger.visit(now, "here", "cafe").free == 0
    ledger.report(now, report("a", 2))
    assert ledger.visit(now, "here", "cafe").free == 1


def test_nobody_gives_back_what_another_holds() -> None:
    ledger = Ledger()
    ledger.report(0.0, report("a", 1))
    (lease,) = ledger.visit(0.0, "g", "cafe", want=1).leases
    assert ledger.visit(0.0, "thief", "cafe", want=1, back=[lease.id]).leases == ()
    assert ledger.visit(0.0, "g", "cafe").leases == (lease,)


def test_a_silent_replica_is_lost_and_when_it_speaks_again_it_must_end_its_lines() -> None:
    ledger = Ledger()
    ledger.report(0.0, report("a", 1))
    (lease,) = ledger.visit(0.0, "g", "cafe", want=1).leases
    later = SILENCE + 0.1
    assert ledger.visit(later, "g", "cafe", want=1).leases == ()
    assert ledger.show(later) == ()
    lines = {lease.id: "g"}
    assert ledger.report(later, report("a", 1, lines=lines)) == {lease.id}
    assert ledger.visit(later, "g", "cafe", want=1).leases == ()  # not before it has
    ledger.report(later, report("a", 1))
    assert len(ledger.visit(later, "g", "cafe", want=1).leases) == 1


def test_a_replica_that_was_started_anew_has_no_leases_and_its_earlier_start_no_say() -> None:
    ledger = Ledger()
    ledger.report(0.0, report("a", 1, life=1))
    (lease,) = ledger.visit(0.0, "g", "cafe", want=1).leases
    ledger.report(0.0, report("a", 1, life=2))
    (new,) = ledger.visit(0.0, "g", "cafe", want=1).leases
    assert (new.life, new.id != lease.id) == (2, True)
    assert ledger.report(0.1, report("a", 9, life=1, lines={lease.id: "g"})) == {lease.id}
    assert ledger.show(0.1)[0].slots == 1
    ledger.lost(0.1, "a", 1)  # an old gateway's word about an old life
    assert ledger.visit(0.1, "g", "cafe").leases == (new,)
    ledger.lost(0.1, "a", 2)
    assert ledger.visit(0.1, "g", "cafe").leases == ()


def test_a_drain_takes_no_new_calls_keeps_the_old_and_outlives_a_new_start() -> None:
    ledger = Ledger()
    ledger.report(0.0, report("a", 2))
    (lease,) = ledger.visit(0.0, "g", "cafe", want=1).leases
    ledger.drain(0.0, "a")
    held = ledger.visit(0.0, "g", "cafe", want=1)
    assert [(each.id, each.draining) for each in held.leases] == [(lease.id, True)]
    assert held.free == 0
    assert ledger.show(0.0)[0].used == 1
    ledger.report(0.1, report("a", 2, life=2))
    assert ledger.visit(0.1, "g", "cafe", want=1).leases == ()
    ledger.leave(0.1, "a")
    ledger.report(0.2, report("a", 2, life=3))
    assert len(ledger.visit(0.2, "g", "cafe", want=1).leases) == 1
    with pytest.raises(LeaseError, match="no replica 'z'; there are a"):
        ledger.drain(0.2, "z")


def test_a_ledger_that_begins_anew_learns_from_the_replicas_what_is_held() -> None:
    before, after = Ledger(), Ledger()
    before.report(0.0, report("a", 2))
    (lease,) = before.visit(0.0, "g", "cafe", want=1).leases
    assert after.report(0.0, report("a", 2, lines={lease.id: "g"})) == frozenset()
    held = after.visit(0.0, "g", "cafe", want=2)
    assert {each.id for each in held.leases} > {lease.id}
    assert len(held.leases) == 2


def test_a_lease_outlives_a_silence() -> None:
    with pytest.raises(AntiphonError, match="longer than"):
        Ledger(lease=3.0, silence=4.0)


class World(RuleBasedStateMachine):
    """Replicas with real slots: none may ever be asked for one more than it has."""

    names = st.sampled_from(["a", "b", "c"])
    holders = st.sampled_from(["g", "h"])

    def __init__(self) -> None:
        super().__init__()
        self.now, self.lives, self.ledger = 0.0, 0, Ledger()
        self.replicas: dict[str, tuple[int, int, dict[str, str]]] = {}  # life, slots, lines
        self.reported: dict[str, float] = {}
        self.hands: dict[str, dict[str, tuple[str, int]]] = {"g": {}, "h": {}}
        self.calls: dict[str, tuple[str, str, int]] = {}  # lease: holder, replica, life
        self.back: dict[str, set[str]] = {"g": set(), "h": set()}
        self.visited = {"g": 0.0, "h": 0.0}

    @rule(seconds=st.floats(0.1, 5.0))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(name=names, slots=st.integers(1, 3))
    def starts(self, name: str, slots: int) -> None:
        """For the first time, or after a crash."""
        self.lives += 1
        self.replicas[name] = (self.lives, slots, {})
        self.reports(name)

    @rule(name=names)
    def reports(self, name: str) -> None:
        if name in self.replicas:
            life, slots, lines = self.replicas[name]
            end = self.ledger.report(self.now, Report(name, life, "cafe", slots, dict(lines)))
            for lease in end:
                lines.pop(lease)
            self.reported[name] = self.now

    @rule(holder=holders, want=st.integers(0, 4))
    def visits(self, holder: str, want: int) -> None:
        given = self.back[holder]
        held = self.ledger.visit(self.now, holder, "cafe", want=want, back=given)
        self.back[holder], self.visited[holder] = set(), self.now
        self.hands[holder] = {
            each.id: (each.replica, each.life)
            for each in held.leases
            if each.id not in self.calls and not each.draining
        }
        draining = {each.id for each in held.leases if each.draining} - set(self.calls)
        self.back[holder] |= draining

    @rule(holder=holders)
    def opens(self, holder: str) -> None:
        """As a gateway does: only soon after a visit, and the replica may be another life's."""
        if not self.hands[holder] or self.now - self.visited[holder] > LEASE / 2:
            return
        lease, (name, life) = self.hands[holder].popitem()
        now_life, slots, lines = self.replicas[name]
        self.calls[lease] = (holder, name, life)
        if now_life != life:
            return  # it is refused: the gateway will see that the replica is lost
        known = {shown.replica for shown in self.ledger.show(self.now)}
        assert len(lines) < slots or name not in known, "a slot was leased twice"
        if len(lines) < slots:
            lines[lease] = holder

    @rule(data=st.data())
    def ends(self, data: st.DataObject) -> None:
        if self.calls:
            lease = data.draw(st.sampled_from(sorted(self.calls)))
            holder, name, life = self.calls.pop(lease)
            if self.replicas[name][0] == life:
                self.replicas[name][2].pop(lease, None)
            self.back[holder].add(lease)

    @rule(name=names)
    def drains(self, name: str) -> None:
        if any(shown.replica == name for shown in self.ledger.show(self.now)):
            self.ledger.drain(self.now, name)
            before = self.held_on(name)
            self.ledger.visit(self.now, "stranger", "cafe", want=9)
            assert self.held_on(name) == before
            self.give_all("stranger")

    @rule(name=names)
    def leaves(self, name: str) -> None:
        self.ledger.leave(self.now, name)
        assert self.held_on(name) == 0

    def held_on(self, name: str) -> int:
        shown = [each.used for each in self.ledger.show(self.now) if each.replica == name]
        return sum(shown)

    def give_all(self, holder: str) -> None:
        held = self.ledger.visit(self.now, holder, "cafe").leases
        self.ledger.visit(self.now, holder, "cafe", back=[each.id for each in held])

    @invariant()
    def no_replica_is_overbooked(self) -> None:
        for shown in self.ledger.show(self.now):
            assert 0 <= shown.used <= shown.slots

    @invariant()
    def silent_replicas_are_gone(self) -> None:
        for shown in self.ledger.show(self.now):
            assert self.now - self.reported[shown.replica] <= SILENCE


TestWorld = World.TestCase
TestWorld.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
