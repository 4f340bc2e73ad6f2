"""One turn of a stored call, explained: what was heard, meant, checked, done, and when.

In: what a store keeps of a call (with `serving.notes`), and its recording. Out: `TurnAccount`,
plain JSON.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import soundfile as sf
from pydantic import BaseModel, ConfigDict

from antiphon.audio import SAMPLE_RATE
from antiphon.runtime.events import Samples
from antiphon.runtime.latency import AUDIBLE
from antiphon.runtime.session import SECONDS
from antiphon.serving.notes import BeganEvent, HearingEvent
from antiphon.serving.store.reading import CallRecord, EventView, TurnView

_BEFORE = 2.0  # s before an agent's first sound in which its turn was checked and its calls made
_AFTER = 0.5  # s after a turn's end in which something may still be told of it
_SAME = 0.02  # s: two times of one word
_WORD = 0.4  # s in which an agent's last word sounds


class _View(BaseModel):
    model_config = ConfigDict(frozen=True)


class Answered(_View):
    """What answered the call."""

    bundle: str
    fingerprint: str | None
    """None where it was not noted."""
    version: str | None
    seed: int | None


class WordSaid(_View):
    """A word; times in seconds of the call."""

    text: str
    start: float
    end: float | None
    sounded: bool | None = None
    """Whether the recording is audible where an agent's word begins; None where there is none."""


class ToneTold(_View):
    """The caller's tone, as it was told."""

    time: float
    tone: str
    probability: float


class Meant(_View):
    """What the agent said against what it meant to say, as far as that was kept."""

    said: str
    meant: str
    """With the words that nobody heard; a blocked sentence stands up to its first wrong word."""
    unheard: tuple[WordSaid, ...]
    """Words that were meant and not played."""
    cut_by: Literal["client", "caller", "guard"] | None
    """client: the client stopped it, by itself or on the caller's speech; caller: the network
    yielded by itself; guard: the rest of a sentence was replaced."""
    phrase: str
    """What the guard said instead; "" where nothing."""


class CallMade(_View):
    """A tool call; times in seconds of the call."""

    id: str
    name: str
    arguments: Any
    result: Any
    made: float | None
    result_ms: float | None
    """From the call to its result."""


class Check(_View):
    """What the guard found or did."""

    time: float
    check: str
    verdict: str
    """The `action` of a `GuardEvent`: blocked, call_blocked, corrected, ..."""
    reason: str
    text: str
    phrase: str
    heard: bool
    data: dict[str, Any]


class Timings(_View):
    """Seconds of the call; gaps in milliseconds."""

    start: float
    end: float
    asked: float | None
    """Where the caller's last word before an agent's turn ended."""
    decided: float | None
    """When the first word of an agent's turn came out of the network."""
    gap_ms: float | None
    """From `asked` to the first audible sample."""


class TurnAccount(_View):
    """Why a turn was as it was."""

    object: Literal["call.turn"] = "call.turn"
    call: str
    index: int
    turns: int
    """How many the call has."""
    speaker: Literal["caller", "agent"]
    text: str
    words: tuple[WordSaid, ...]
    answered_by: Answered
    timings: Timings
    answers: int | None
    """The index of the caller's turn that an agent's turn answers."""
    answer: int | None
    """The index of the agent's turn that answers a caller's."""
    tones: tuple[ToneTold, ...]
    """Of the caller, in this turn or in the one that it answers."""
    hearing: HearingEvent | None
    """By frame: of this turn, or of the one that it answers."""
    meant: Meant | None
    """Of an agent's turn."""
    calls: tuple[CallMade, ...]
    checks: tuple[Check, ...]
    states: tuple[tuple[float, str, float], ...]
    """(time, the agent's part, probability)"""
    paused: bool
    """Whether a part of it was not kept."""


def explained(record: CallRecord, index: int, sound: Path | None = None) -> TurnAccount | None:
    """The account of turn `index` of a call; None where there is no such turn.

    sound: the call's recording, if it was kept.
    """
    turn = next((turn for turn in record.turns if turn.index == index), None)
    if turn is None:
        return None
    begin, end = _span(record, turn)
    asked = _neighbour(record, turn, "caller", -1) if turn.speaker == "agent" else None
    answer = _neighbour(record, turn, "agent", +1) if turn.speaker == "caller" else None
    within = [event for event in record.events if begin <= event.time < end]
    checks = tuple(_check(event) for event in within if event.type == "guard")
    caller = turn if turn.speaker == "caller" else asked
    meant, decided = None, None
    if turn.speaker == "agent":
        meant = _meant(record, turn, begin, end, checks, within)
        decided = _decided(record, turn)
    return TurnAccount(
        call=record.call.id,
        index=index,
        turns=len(record.turns),
        speaker=turn.speaker,
        text=turn.text,
        words=_words(turn, sound),
        answered_by=_answered_by(record),
        timings=Timings(
            start=turn.start,
            end=turn.end,
            asked=asked.words[-1][2] if asked is not None and asked.words else None,
            decided=decided,
            gap_ms=turn.gap_ms,
        ),
        answers=None if asked is None else asked.index,
        answer=None if answer is None else answer.index,
        tones=_tones(record, caller),
        hearing=_hearing(record, caller),
        meant=meant,
        calls=_calls(record, index),
        checks=checks,
        states=tuple(
            (event.time, str(event.data.get("state", "")), float(event.data.get("probability", 0)))
            for event in within
            if event.type == "turn"
        ),
        paused=any(
            pause.start < turn.end and (pause.end is None or pause.end > turn.start)
            for pause in record.pauses
        ),
    )


def _span(record: CallRecord, turn: TurnView) -> tuple[float, float]:
    """(begin, end) of the time in which something happened that belongs to a turn."""
    same = [each for each in record.turns if each.speaker == turn.speaker]
    at = same.index(turn)
    begin = max(0.0, turn.start - (_BEFORE if turn.speaker == "agent" else 0.0))
    end = turn.end + _AFTER
    if at > 0:
        begin = max(begin, min(same[at - 1].end + _AFTER, turn.start))
    if at + 1 < len(same):
        end = min(end, max(same[at + 1].start, turn.end))
    return begin, end


def _neighbour(
    record: CallRecord, turn: TurnView, speaker: str, step: Literal[-1, 1]
) -> TurnView | None:
    """The turn right before or after it, if it is the other side's."""
    ordered = sorted(record.turns, key=lambda each: (each.start, each.index))
    at = ordered.index(turn) + step
    found = ordered[at] if 0 <= at < len(ordered) else None
    return found if found is not None and found.speaker == speaker else None


def _answered_by(record: CallRecord) -> Answered:
    began = next((event.data for event in record.events if event.type == "began"), None)
    facts = BeganEvent.model_validate(began) if began is not None else None
    return Answered(
        bundle=record.call.bundle,
        fingerprint=facts.fingerprint if facts else None,
        version=(facts.version or None) if facts else None,
        seed=facts.seed if facts else None,
    )


def _tones(record: CallRecord, caller: TurnView | None) -> tuple[ToneTold, ...]:
    """The tone that the caller had at the turn's beginning, and what it became."""
    if caller is None:
        return ()
    told = [
        ToneTold(
            time=event.time,
            tone=str(event.data.get("tone", "")),
            probability=float(event.data.get("probability", 0)),
        )
        for event in record.events
        if event.type == "tone" and event.time < caller.end + _AFTER
    ]
    before = [tone for tone in told if tone.time < caller.start]
    return (*before[-1:], *(tone for tone in told if tone.time >= caller.start))


def _hearing(record: CallRecord, caller: TurnView | None) -> HearingEvent | None:
    for event in record.events:
        same = caller is not None and event.data.get("turn") == caller.index
        if event.type == "hearing" and same:
            return HearingEvent.model_validate({"time": event.time, **event.data})
    return None


def _calls(record: CallRecord, index: int) -> tuple[CallMade, ...]:
    made = {str(e.data.get("id")): e.time for e in record.events if e.type == "call"}
    given = {str(e.data.get("id")): e.time for e in record.events if e.type == "tool_result"}
    found: list[CallMade] = []
    for call in record.tool_calls:
        if call.turn != index:
            continue
        at, back = made.get(call.id), given.get(call.id)
        found.append(
            CallMade(
                id=call.id,
                name=call.name,
                arguments=call.arguments,
                result=call.result,
                made=at,
                result_ms=None if at is None or back is None else round((back - at) * 1e3, 1),
            )
        )
    return tuple(found)


def _check(event: EventView) -> Check:
    data = event.data
    return Check(
        time=event.time,
        check=str(data.get("check", "")),
        verdict=str(data.get("action", "")),
        reason=str(data.get("reason", "")),
        text=str(data.get("text", "")),
        phrase=str(data.get("phrase", "")),
        heard=bool(data.get("heard", False)),
        data=dict(data.get("data") or {}),
    )


def _agent_words(record: CallRecord) -> list[tuple[float, WordSaid]]:
    """(when it was told, the word) of all that the agent meant to say."""
    return [
        (
            event.time,
            WordSaid(text=str(event.data["text"]), start=float(event.data["start"]), end=None),
        )
        for event in record.events
        if event.type == "agent_word" and {"text", "start"} <= event.data.keys()
    ]


def _decided(record: CallRecord, turn: TurnView) -> float | None:
    if not turn.words:
        return None
    first = turn.words[0]
    return next(
        (
            told
            for told, word in _agent_words(record)
            if word.text == first[0] and abs(word.start - first[1]) < _SAME
        ),
        None,
    )


def _meant(
    record: CallRecord,
    turn: TurnView,
    begin: float,
    end: float,
    checks: Sequence[Check],
    within: Sequence[EventView],
) -> Meant:
    heard = [(text, start) for text, start, _ in turn.words]
    unheard = tuple(
        word
        for told, word in _agent_words(record)
        if begin <= told < end
        and word.start >= turn.start - _SAME
        and not any(word.text == t and abs(word.start - s) < _SAME for t, s in heard)
    )
    blocked = [check for check in checks if check.verdict == "blocked"]
    yields = any(e.type == "turn" and e.data.get("state") == "yielding" for e in within)
    cut: Literal["client", "caller", "guard"] | None = None
    if blocked:
        cut = "guard"
    elif turn.interrupted:
        cut = "client"
    elif yields:
        cut = "caller"
    words = sorted([*heard, *((word.text, word.start) for word in unheard)], key=lambda w: w[1])
    meant = " ".join(text for text, _ in words)
    if blocked:
        # What the caller heard in its place is the phrase; what was meant is in the finding.
        meant = " ... ".join(check.text for check in blocked)
    return Meant(
        said=turn.text,
        meant=meant,
        unheard=unheard,
        cut_by=cut,
        phrase=" ".join(check.phrase for check in blocked if check.phrase),
    )


def _words(turn: TurnView, sound: Path | None) -> tuple[WordSaid, ...]:
    voice = None
    if turn.speaker == "agent" and sound is not None:
        voice = _agent_voice(sound, turn.start, turn.end + 2 * _WORD)
    found: list[WordSaid] = []
    for place, (text, start, end) in enumerate(turn.words):
        sounded = None
        if voice is not None:
            after = turn.words[place + 1][1] if place + 1 < len(turn.words) else start + _WORD
            a = round((start - turn.start) * SAMPLE_RATE)
            b = round((max(after, start + SECONDS) - turn.start) * SAMPLE_RATE)
            part = voice[max(a, 0) : max(b, 0)]
            sounded = bool(len(part)) and float(np.abs(part).max()) >= AUDIBLE
        found.append(WordSaid(text=text, start=start, end=end, sounded=sounded))
    return tuple(found)


def _agent_voice(path: Path, start: float, end: float) -> Samples | None:
    """The agent's side of a recording from `start` to `end` (s); None if it cannot be read."""
    try:
        with sf.SoundFile(str(path)) as file:
            first = min(round(max(start, 0.0) * SAMPLE_RATE), file.frames)
            file.seek(first)
            count = max(0, round(end * SAMPLE_RATE) - first)
            both = file.read(count, dtype="float32", always_2d=True)
    except (OSError, RuntimeError):
        return None
    return np.ascontiguousarray(both[:, -1], dtype=np.float32)
