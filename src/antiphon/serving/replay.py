"""A stored call, run again: its caller's sound through any bundle, and what came out otherwise.

In: what a store keeps of a call, its recording, an agent and a seed. Out: the turns of both runs,
side by side, with what changed. The same recording, bundle and seed give the same turns every time.

The recording has 16 bits a sample where the network had heard more, and nobody sends it words to
say, a tool's results or an interruption again: so even the same bundle may answer otherwise than
it did in the call.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from antiphon.audio import SAMPLE_RATE
from antiphon.audio.io import frames, read
from antiphon.bundle import BundleManifest
from antiphon.corpus.edits import distance
from antiphon.guard.beats import beats
from antiphon.runtime.agent import Agent
from antiphon.runtime.clock import ClockEvent
from antiphon.runtime.events import CallEvent, Samples
from antiphon.serving.store import CallRecord, NoSuchCall, Store, StoreError
from antiphon.serving.store.models import ErasureRow
from antiphon.serving.store.reading import ToolCallView, TurnView
from antiphon.serving.store.values import fingerprint
from antiphon.serving.turns import ToolCall, ToolCallEvent, Turn, TurnTracker

GAP_MS = 80.0  # a beat: gaps that differ by less are the same
_NEAR = 4.0  # s between the starts of two turns beyond which they are not the same one
_ALONE = 0.75  # what a turn without a partner costs, where one that is all other words costs 1

Side = Literal["caller", "agent"]
Change = Literal["missing", "new", "words", "calls", "gap", "tone", "interrupted"]


class _View(BaseModel):
    model_config = ConfigDict(frozen=True)


class MadeCall(_View):
    """A tool call, without its id and result."""

    name: str
    arguments: Any


class TurnOf(_View):
    """A turn of one of the two runs; times in seconds of the call."""

    index: int
    text: str
    start: float
    end: float
    tone: str | None
    gap_ms: float | None
    interrupted: bool
    calls: tuple[MadeCall, ...]


class Pair(_View):
    """A turn as it was and as it is now; None where there is none."""

    speaker: Side
    then: TurnOf | None
    now: TurnOf | None
    changed: tuple[Change, ...]

    @property
    def start(self) -> float:
        """Seconds of the call at which the earlier of the two began."""
        return min(turn.start for turn in (self.then, self.now) if turn is not None)


class Replay(_View):
    """A call and its replay."""

    call: str
    seconds: float
    """Of the caller's recording."""
    seed: int
    bundle: str
    fingerprint: str
    """Of the bundle that it was run through."""
    then_bundle: str
    then_fingerprint: str | None
    """Of the bundle that answered the call, where the store knows it."""
    same: bool
    """Whether no turn changed."""
    caller_word_edits: int
    """Words that were put in, left out or exchanged over all turns of the caller's."""
    agent_word_edits: int
    turns: tuple[Pair, ...]


def replay(
    store: Store,
    call_id: str,
    agent: Agent,
    *,
    seed: int | None = None,
    with_pauses: bool = False,
) -> Replay:
    """Run a call's caller through `agent` and hold the turns against those in the store.

    seed: None takes the call's own where the store knows it, else 0. with_pauses: replay a call of
    which parts were not kept, with silence in their place. Raises NoSuchCall, StoreError,
    AudioError.
    """
    record = recorded(store, call_id)
    path = sound_of(store, record, with_pauses=with_pauses)
    caller = read(path, rate=SAMPLE_RATE, mono=False)[0]
    began = first_facts(record)
    if seed is None:
        seed = int(began.get("seed", 0))
    turns = run(agent, caller, seed)
    pairs = compare(record, turns)
    return Replay(
        call=call_id,
        seconds=round(len(caller) / SAMPLE_RATE, 3),
        seed=seed,
        bundle=agent.bundle.manifest.name,
        fingerprint=bundle_fingerprint(agent.bundle.manifest),
        then_bundle=record.call.bundle,
        then_fingerprint=began.get("fingerprint"),
        same=not any(pair.changed for pair in pairs),
        caller_word_edits=_edits(pairs, "caller"),
        agent_word_edits=_edits(pairs, "agent"),
        turns=tuple(pairs),
    )


def recorded(store: Store, call_id: str) -> CallRecord:
    """All that is kept of a call that is over. Raises NoSuchCall, StoreError."""
    try:
        record = store.call(call_id)
    except NoSuchCall:
        with store.database.read() as session:
            gone = session.get(ErasureRow, call_id) if "\x00" not in call_id else None
        if gone is None:
            raise
        raise NoSuchCall(
            f"the call {call_id} was erased on {gone.time:%Y-%m-%d} ({gone.reason}); nothing of "
            "it is kept"
        ) from None
    if record.call.ended is None:
        raise StoreError(f"the call {call_id} is going on; try again when it is over")
    return record


def sound_of(store: Store, record: CallRecord, *, with_pauses: bool = False) -> Path:
    """The recording of a call that can be run again. Raises StoreError, which says why not."""
    call = record.call
    if call.recording == "erased":
        raise StoreError(f"the recording of {call.id} was erased; its words alone are kept")
    path = store.recording(call.id)
    if path is None and call.recording in ("whole", "salvaged", "failed"):
        raise StoreError(
            f"the recording of {call.id} is not in {store.folder}; another machine's store may "
            "have it"
        )
    if path is None:
        raise StoreError(f"the call {call.id} has no recording, so it cannot be run again")
    if record.pauses and not with_pauses:
        spans = ", ".join(
            f"{pause.start:.1f} to {'the end' if pause.end is None else f'{pause.end:.1f} s'}"
            for pause in record.pauses
        )
        raise StoreError(
            f"parts of the call {call.id} were never kept ({spans}), and silence stands for "
            "them; --with-pauses runs it all the same"
        )
    return path


def first_facts(record: CallRecord) -> dict[str, Any]:
    """What the server noted as the call began: seed, bundle's fingerprint; {} if it did not."""
    none: dict[str, Any] = {}
    return next((event.data for event in record.events if event.type == "began"), none)


def bundle_fingerprint(manifest: BundleManifest) -> str:
    """Twelve hex digits that tell a bundle from any other, of the same name or not."""
    return fingerprint(manifest.model_dump(mode="json"))[:12]


def run(agent: Agent, caller: npt.ArrayLike, seed: int) -> list[Turn]:
    """The turns of a new call in process; caller: float32 [N], 16 kHz."""
    tracker = TurnTracker()
    turns: list[Turn] = []
    made = 0
    with agent.session(seed) as session:
        for frame in _frames(caller):
            for beat in beats(session, frame):
                named: list[ClockEvent] = []
                for event in beat:
                    if isinstance(event, CallEvent):
                        made += 1
                        event = ToolCallEvent(
                            time=event.time,
                            name=event.name,
                            arguments=event.arguments,
                            id=f"replay_{made}",
                        )
                    named.append(event)
                turns += tracker.push(named)
    return turns + tracker.finish()


def compare(record: CallRecord, turns: Sequence[Turn]) -> list[Pair]:
    """The turns of a stored call beside those of another run, in the order of time."""
    then = {side: _stored(record, side) for side in ("caller", "agent")}
    pairs: list[Pair] = []
    for side in ("caller", "agent"):
        now = [_told(turn, turn.calls) for turn in turns if turn.speaker == side]
        for old, new in aligned(then[side], now):
            pairs.append(Pair(speaker=side, then=old, now=new, changed=_changes(old, new)))
    return sorted(pairs, key=lambda pair: pair.start)


def aligned(
    then: Sequence[TurnOf], now: Sequence[TurnOf]
) -> list[tuple[TurnOf | None, TurnOf | None]]:
    """Which turn of one run is which of the other: the cheapest pairing in order.

    A pair costs the share of its words that differ, and up to a half for beginning at another
    time; a turn without a partner costs 0.75 (edit distance over turns).
    """
    rows, columns = len(then), len(now)
    cost = np.zeros((rows + 1, columns + 1))
    cost[:, 0] = _ALONE * np.arange(rows + 1)
    cost[0, :] = _ALONE * np.arange(columns + 1)
    for i, old in enumerate(then):
        for j, new in enumerate(now):
            cost[i + 1, j + 1] = min(
                cost[i, j] + _unlike(old, new),
                cost[i, j + 1] + _ALONE,
                cost[i + 1, j] + _ALONE,
            )
    pairs: list[tuple[TurnOf | None, TurnOf | None]] = []
    i, j = rows, columns
    while i or j:
        if i and j and cost[i, j] == cost[i - 1, j - 1] + _unlike(then[i - 1], now[j - 1]):
            i, j = i - 1, j - 1
            pairs.append((then[i], now[j]))
        elif i and cost[i, j] == cost[i - 1, j] + _ALONE:
            i -= 1
            pairs.append((then[i], None))
        else:
            j -= 1
            pairs.append((None, now[j]))
    return pairs[::-1]


def _unlike(old: TurnOf, new: TurnOf) -> float:
    apart = abs(old.start - new.start)
    if apart > _NEAR:
        return 2 * _ALONE + 1
    a, b = old.text.split(), new.text.split()
    return distance(a, b) / max(len(a), len(b), 1) + 0.5 * apart / _NEAR


def _changes(old: TurnOf | None, new: TurnOf | None) -> tuple[Change, ...]:
    if old is None:
        return ("new",)
    if new is None:
        return ("missing",)
    found: list[Change] = []
    if old.text != new.text:
        found.append("words")
    if old.calls != new.calls:
        found.append("calls")
    if (old.gap_ms is None) != (new.gap_ms is None) or (
        old.gap_ms is not None and new.gap_ms is not None and abs(old.gap_ms - new.gap_ms) >= GAP_MS
    ):
        found.append("gap")
    if old.tone != new.tone:
        found.append("tone")
    if old.interrupted != new.interrupted:
        found.append("interrupted")
    return tuple(found)


def _edits(pairs: Sequence[Pair], side: Side) -> int:
    def words(turn: TurnOf | None) -> list[str]:
        return turn.text.split() if turn is not None else []

    return sum(distance(words(p.then), words(p.now)) for p in pairs if p.speaker == side)


def _stored(record: CallRecord, side: str) -> list[TurnOf]:
    return [
        _told(turn, [call for call in record.tool_calls if call.turn == turn.index])
        for turn in record.turns
        if turn.speaker == side
    ]


def _told(turn: Turn | TurnView, calls: Iterable[ToolCall | ToolCallView]) -> TurnOf:
    return TurnOf(
        index=turn.index,
        text=turn.text,
        start=turn.start,
        end=turn.end,
        tone=turn.tone,
        gap_ms=turn.gap_ms,
        interrupted=turn.interrupted,
        calls=tuple(MadeCall(name=call.name, arguments=call.arguments) for call in calls),
    )


def _frames(caller: npt.ArrayLike) -> Iterator[Samples]:
    yield from frames(np.asarray(caller, dtype=np.float32))
