"""The versions of a running server: an agent and a clock each, and the way to them.

    Reception.open -> Fleet.route(call) -> the version's clock and stages
    observers      -> Fleet.heard(...)  -> shadows, calls of their own that nobody hears

The plan is read again when its file changes, and new versions are loaded beside the calls; those
that go on stay with the version that they began with. A plan that cannot be read, a bundle that is
broken, or one with other tools than the server's own changes nothing but the log: its calls go to
the server's own agent.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial

from antiphon.errors import AntiphonError
from antiphon.runtime.agent import Agent
from antiphon.runtime.clock import Clock, ClockFull
from antiphon.runtime.events import Samples
from antiphon.runtime.places import Places
from antiphon.serving.admission import Capacity, Routed
from antiphon.serving.call import CallInfo, LiveCall, MakeStage, Observer
from antiphon.serving.config import ServerConfig
from antiphon.serving.deploy.control import SERVER, Control, digest
from antiphon.serving.deploy.figures import SHADOW, SHADOW_OF, VERSION
from antiphon.serving.deploy.plan import CASCADE, Plan, PlanError, Version
from antiphon.serving.deploy.shares import assign, hears
from antiphon.serving.notes import Notes
from antiphon.serving.replay import bundle_fingerprint
from antiphon.serving.store import Store, StoreError

_POLL = 1.0  # s between looks at the plan's file
_LAST = 1.0  # s that a shadow may go on speaking after its call

_log = logging.getLogger(__name__)

StagesOf = Callable[[Agent], Sequence[MakeStage]]


@dataclass(frozen=True)
class Deploying:
    """What a server needs to serve by a plan."""

    store: Store
    """Whose folder has the plan, and whose calls are judged."""
    stages_of: StagesOf | None = None
    """Makes the stages (the guard) of another version's calls, in a thread; None: it has none."""


@dataclass(eq=False)
class Lane:
    """A version that is loaded."""

    version: Version
    clock: Places
    stages: Sequence[MakeStage]
    own: bool = True
    """Whether the clock is the lane's own, and not the server's."""


class Fleet:
    """All versions. On the event loop, except where a thread is named.

    It is an observer of calls too: through it shadows hear what their call hears, silence in a
    recording pause included.
    """

    def __init__(
        self,
        deploying: Deploying,
        config: ServerConfig,
        agent: Agent,
        clock: Places,
        capacity: Capacity,
        *,
        stages: Sequence[MakeStage] = (),
        recorders: Sequence[Observer] = (),
        notes: Notes | None = None,
        beating: bool = True,
    ) -> None:
        """agent, clock, stages: the server's own. recorders: the observers of shadows.

        beating: whether clocks are started; a test moves them by hand.
        """
        self.control = Control(deploying.store)
        self._store, self._stages_of = deploying.store, deploying.stages_of
        self._config, self._agent, self._clock = config, agent, clock
        self._capacity, self._beating = capacity, beating
        self._stages = tuple(stages)
        self._recorders, self._notes = tuple(recorders), notes
        self.plan: Plan | None = None
        self.lanes: dict[str, Lane] = {}
        """The versions that are loaded, by name."""
        self._leaving: list[Lane] = []
        self._shadows: dict[str, list[LiveCall]] = {}
        self._sinks: set[asyncio.Task[None]] = set()
        self._stamp: tuple[int, int] | None = None
        self.problem: str | None = None
        """Why the plan is not served as it stands."""
        self.passed_by = 0
        """Calls that a shadow could not hear because all its places were taken."""

    # -- who answers ----------------------------------------------------------------

    def route(self, call: CallInfo) -> Routed | None:
        """The version that answers a new call; None: the server's own agent, which has no name."""
        if self.plan is None:
            return None
        version = assign(self.plan, call.id)
        lane = self.lanes.get(version.name)
        if lane is None or lane.clock.hung or lane.clock.active >= lane.clock.slots:
            lane = self.lanes.get(self.plan.baseline)
        if lane is None:
            return None
        metadata = {**call.metadata, VERSION: lane.version.name}
        update = {"metadata": metadata, "bundle": lane.clock.bundle}
        return Routed(call.model_copy(update=update), lane.clock, lane.stages)

    # -- the plan -------------------------------------------------------------------

    async def reload(self) -> None:
        """Read the plan if its file changed, and load what is new in it."""
        stamp = self.control.stamp()
        if stamp == self._stamp:
            return
        self._stamp, self.problem = stamp, None
        try:
            plan = await asyncio.to_thread(self.control.read)
        except PlanError as error:
            self._trouble(str(error))
            return
        if plan is None:
            for lane in self.lanes.values():
                self._leave(lane)
            self.plan, self.lanes = None, {}
            return
        lanes: dict[str, Lane] = {}
        for version in plan.versions:
            if not version.share:
                continue
            before = self.lanes.get(version.name)
            if before is not None and _same(before.version, version):
                before.version = version
                lanes[version.name] = before
                continue
            try:
                lanes[version.name] = await asyncio.to_thread(self._load, plan, version)
            except AntiphonError as error:
                self._trouble(f"{version.name}: {error}")
        for lane in self.lanes.values():
            if lane not in lanes.values():
                self._leave(lane)
        self.plan, self.lanes = plan, lanes
        detail = {
            "revision": plan.revision,
            "plan": digest(plan),
            "reason": plan.reason,
            "loaded": sorted(lanes),
            **({"problem": self.problem} if self.problem else {}),
        }
        with suppress(StoreError):
            await asyncio.to_thread(
                self._store.note, "deploy.read", f"deploy:{plan.revision}", detail=detail
            )
        _log.info("plan %d: %s", plan.revision, ", ".join(sorted(lanes)) or "nothing is loaded")

    def _load(self, plan: Plan, version: Version) -> Lane:
        """In a thread. Raises AntiphonError."""
        if version.bundle == CASCADE:
            return self._load_cascade(plan, version)
        agent, clock, own = Agent.load(version.bundle), self._clock, True
        mark = bundle_fingerprint(agent.bundle.manifest)
        if agent.bundle.manifest.tools != self._agent.bundle.manifest.tools:
            raise PlanError(
                f"{version.bundle} was made with other tools than {self._clock.bundle}; serve it "
                "by a server of its own"
            )
        if mark == bundle_fingerprint(self._agent.bundle.manifest) and not version.shadow:
            agent, own, stages = self._agent, False, list(self._stages)
        else:
            slots = plan.shadow_slots if version.shadow else self._capacity.slots
            clock = Clock(
                agent,
                slots,
                group=min(self._capacity.group, slots),
                threads=1 if version.shadow else self._capacity.threads,
                first=self._config.first and not version.shadow,
                prebuffer=self._config.prebuffer,
                backlog=self._config.backlog,
                on_hung=partial(self._hung, version.name),
            )
            _ = agent.scenario  # it is read late, and takes longer than a beat
            stages = list(self._stages_of(agent)) if self._stages_of is not None else []
            if self._beating:
                clock.start()
        if self._notes is not None:
            name = agent.bundle.manifest.name
            stages.insert(0, self._notes.stage(name, mark, version.name))
        return Lane(version, clock, stages, own)

    def _load_cascade(self, plan: Plan, version: Version) -> Lane:
        """The cascade hears the callers of the server's own scenario."""
        from antiphon.serving.deploy import cascade_places

        places = cascade_places.CascadePlaces(
            cascade_places.sessions_of(self._agent.scenario, plan.shadow_slots),
            plan.shadow_slots,
            prebuffer=self._config.prebuffer,
            backlog=self._config.backlog,
        )
        if self._beating:
            places.start()
        stages = [] if self._notes is None else [self._notes.stage(CASCADE, "", version.name)]
        return Lane(version, places, stages)

    def _hung(self, name: str, reason: str) -> None:
        """From a clock's watchdog."""
        self._store.note("engine.hung", f"deploy:{name}", detail={"reason": reason})

    def _trouble(self, sentence: str) -> None:
        self.problem = sentence
        _log.error("the plan is not served as it stands: %s", sentence)

    def _leave(self, lane: Lane) -> None:
        """No new calls; the clock stops when the last has ended."""
        if lane.own:
            self._leaving.append(lane)

    async def _tidy(self) -> None:
        for lane in [lane for lane in self._leaving if not lane.clock.active]:
            self._leaving.remove(lane)
            await asyncio.to_thread(lane.clock.stop)

    # -- while the server runs --------------------------------------------------------

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Read the plan, then watch it and the calls until the block is left."""
        await self.reload()
        watch = asyncio.create_task(self._watch(), name="deploy")
        try:
            yield
        finally:
            watch.cancel()
            with suppress(asyncio.CancelledError):
                await watch
            for shadows in list(self._shadows.values()):
                for call in shadows:
                    call.close("server: going down")
            for sink in list(self._sinks):
                sink.cancel()
            for lane in (*self.lanes.values(), *self._leaving):
                if lane.own:
                    await asyncio.to_thread(lane.clock.stop)

    async def _watch(self) -> None:
        looked = time.monotonic()
        while True:
            await asyncio.sleep(_POLL)
            try:
                await self.reload()
                await self._tidy()
                plan = self.plan
                if plan is not None and time.monotonic() - looked >= plan.thresholds.look_seconds:
                    looked = time.monotonic()
                    await self.look()
            except Exception:
                _log.exception("the plan could not be watched")

    async def look(self) -> None:
        """Judge the versions, and take back those that fell behind."""
        try:
            taken = await asyncio.to_thread(self.control.look)
        except AntiphonError as error:
            _log.error("the versions could not be judged: %s", error)
            return
        for name, verdict in taken.items():
            _log.warning("%s rolls %s back: %s", SERVER, name, verdict.sentence())
        if taken:
            await self.reload()

    # -- shadows: an observer of calls ------------------------------------------------

    def opened(self, call: CallInfo) -> None:
        """A call begins: the shadows that hear it begin theirs."""
        if self.plan is None:
            return
        for version in hears(self.plan, call.id):
            lane = self.lanes.get(version.name)
            if lane is not None:
                self._shadow(call, lane)

    def heard(self, call_id: str, samples: Samples) -> None:
        """The caller's next frame, float32 [1280], for its shadows."""
        for shadow in self._shadows.get(call_id, ()):
            shadow.push(samples)

    def played(self, call_id: str, samples: Samples) -> None:
        """Shadows do not hear who answers."""

    def event(self, call_id: str, event: object) -> None:
        """Not for shadows."""

    def turn(self, call_id: str, turn: object) -> None:
        """Not for shadows."""

    def paused(self, call_id: str, on: bool) -> None:
        """What is not kept of a call is not kept of its shadows."""
        for shadow in self._shadows.get(call_id, ()):
            shadow.pause_recording(on)

    def closed(self, call_id: str, reason: str) -> None:
        """The call is over; its shadows may finish what they say."""
        loop = asyncio.get_running_loop()
        for shadow in self._shadows.pop(call_id, ()):
            shadow.flush()
            loop.call_later(_LAST, shadow.close, "shadow: the call is over")

    def _shadow(self, call: CallInfo, lane: Lane) -> None:
        info = CallInfo(
            id=f"{call.id}-{lane.version.name}",
            bundle=lane.clock.bundle,
            protocol=SHADOW,
            key=call.key,
            started=call.started,
            metadata={**call.metadata, VERSION: lane.version.name, SHADOW_OF: call.id},
        )
        observers: list[Observer] = list(self._recorders)
        if self._notes is not None:
            observers.append(self._notes)
        try:
            shadow = LiveCall(
                lane.clock,
                info,
                observers=observers,
                stages=lane.stages,
                seed=0,
                dtmf_pause=self._config.dtmf_pause,
            )
        except ClockFull:
            self.passed_by += 1
            return
        self._shadows.setdefault(call.id, []).append(shadow)
        sink = asyncio.get_running_loop().create_task(_let_pass(shadow), name=info.id)
        self._sinks.add(sink)
        sink.add_done_callback(self._sinks.discard)


async def _let_pass(call: LiveCall) -> None:
    """Nobody hears a shadow."""
    async for _ in call.events():
        pass


def _same(before: Version, now: Version) -> bool:
    """Whether a version is loaded as it is wanted."""
    return (before.bundle, before.shadow, before.since) == (now.bundle, now.shadow, now.since)
