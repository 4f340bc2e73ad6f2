"""What the server tells of its calls: steps for the writer, frames for the recorder."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from antiphon.audio import FRAME, SAMPLE_RATE
from antiphon.runtime.events import Samples
from antiphon.serving.store.journal import Journal
from antiphon.serving.store.recordings import Recorder, place
from antiphon.serving.store.records import (
    Closed,
    Happened,
    Opened,
    Paused,
    Said,
    Step,
    now,
)
from antiphon.serving.store.values import plain, text
from antiphon.serving.store.writer import Writer

if TYPE_CHECKING:
    from pydantic import BaseModel

    from antiphon.serving.call import CallInfo
    from antiphon.serving.turns import Turn

_LOG = logging.getLogger(__name__)
_SECONDS = FRAME / SAMPLE_RATE


@dataclass
class _Live:
    frames: int = 0  # of the caller
    pauses: list[float] = field(default_factory=list[float])  # where each began, seconds
    recorded: bool = False


class StoreObserver:
    """An observer of calls: it hands everything to two threads and returns.

    A turn, and the beginning and end of a call, are in the journal when its method returns: they
    outlive a kill of the process from that moment on. It is told what may be kept and nothing
    else: a live call puts `antiphon.serving.pause.Discreet` before its observers.
    """

    def __init__(
        self,
        server: str,
        folder: Path,
        writer: Writer,
        recorder: Recorder | None,
        journal: Journal,
        *,
        caller_field: str = "caller",
    ) -> None:
        self._server, self._folder, self._caller_field = server, folder, caller_field
        self._writer, self._recorder, self._journal = writer, recorder, journal
        self._live: dict[str, _Live] = {}

    @property
    def live(self) -> frozenset[str]:
        """Ids of the calls that go on."""
        return frozenset(self._live)

    def opened(self, call: CallInfo) -> None:
        """A call begins."""
        path = place(call.id, call.started) if self._recorder is not None else None
        self._live[call.id] = _Live(recorded=path is not None)
        facts = {text(name): text(value) for name, value in call.metadata.items()}
        self._keep(
            Opened(
                call_id=call.id,
                server=self._server,
                bundle=text(call.bundle),
                protocol=text(call.protocol),
                key=text(call.key),
                caller=facts.get(self._caller_field),
                facts=facts,
                started=call.started,
                path=path,
            )
        )
        if self._recorder is not None and path is not None:
            self._recorder.open(call.id, self._folder / path)

    def heard(self, call_id: str, samples: Samples) -> None:
        """A frame of the caller, float32 [1280]."""
        call = self._live.get(call_id)
        if call is None:
            return
        if call.recorded and self._recorder is not None:
            self._recorder.caller(call_id, call.frames, samples)
        call.frames += 1

    def played(self, call_id: str, samples: Samples) -> None:
        """A frame of the agent, float32 [1280]: it goes out when the caller's is full."""
        call = self._live.get(call_id)
        if call is not None and call.recorded and self._recorder is not None:
            self._recorder.agent(call_id, call.frames, samples)

    def event(self, call_id: str, event: BaseModel) -> None:
        """Anything but sound."""
        call = self._live.get(call_id)
        if call is None:
            return
        data = plain(event.model_dump())
        kind = str(data.pop("type", "") or type(event).__name__)
        time = data.pop("time", None)
        at = float(time) if isinstance(time, int | float) else call.frames * _SECONDS
        self._writer.put(Happened(call_id=call_id, time=at, type=kind, data=data))

    def turn(self, call_id: str, turn: Turn) -> None:
        """A finished turn: it is kept from here on."""
        if call_id not in self._live:
            return
        said = plain(turn.model_dump())
        said["number"] = said.pop("index")
        self._keep(Said(call_id=call_id, **said), at_once=True)

    def paused(self, call_id: str, on: bool) -> None:
        """A recording pause begins or ends."""
        call = self._live.get(call_id)
        if call is None:
            return
        at = call.frames * _SECONDS
        if on:
            call.pauses.append(at)
        if call.pauses:
            number, start = len(call.pauses) - 1, call.pauses[-1]
            end = None if on else at
            self._keep(Paused(call_id=call_id, number=number, start=start, end=end))

    def closed(self, call_id: str, reason: str) -> None:
        """The call is over."""
        call = self._live.pop(call_id, None)
        if call is None:
            return
        seconds = call.frames * _SECONDS
        step = Closed(call_id=call_id, ended=now(), reason=text(reason), duration=seconds)
        self._keep(step, at_once=True)
        if call.recorded and self._recorder is not None:
            self._recorder.close(call_id)

    def forget(self, call_ids: set[str]) -> None:
        """The calls were erased while they went on: nothing more of them is kept."""
        for call_id in call_ids:
            call = self._live.pop(call_id, None)
            if call is not None and call.recorded and self._recorder is not None:
                self._recorder.discard(call_id)

    def _keep(self, step: Step, *, at_once: bool = False) -> None:
        number = 0
        try:
            number = self._journal.write(step.model_dump(mode="json"))
        except OSError as error:
            _LOG.error("%s: not written: %s", self._journal.path, error.strerror)
        self._writer.put(step, number, at_once=at_once)
