"""Long calls: a steady agent ends as it began, one that wears out does not."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import soundfile as sf

from antiphon.audio import FRAME
from antiphon.corpus.scenario import load_scenario
from antiphon.evaluation.commands import Clip, read_manifest
from antiphon.evaluation.endurance import hold, report
from antiphon.runtime.agent import Agent
from antiphon.runtime.events import AudioEvent, CallEvent, Event, Samples

CAFE = load_scenario(Path(__file__).parents[2] / "scenarios" / "cafe.yaml")
WAIT, ANSWER = 5, 12  # frames


class Worn:
    """A session that answers every burst of sound with a hum and an order of a latte.

    From `tired` s on it orders a mocha and hums lower.
    """

    def __init__(self, tired: float) -> None:
        self.tired, self.time, self.quiet, self.pending = tired, 0.0, 0, False
        self.process_seconds: deque[float] = deque()

    def __enter__(self) -> Worn:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def push(self, frame: Samples) -> Iterator[Event]:
        self.time += FRAME / 16_000
        self.process_seconds.append(0.004)
        loud = bool(np.abs(frame).max() > 0.05)
        self.pending = self.pending or loud
        self.quiet = 0 if loud else self.quiet + 1
        late = self.time > self.tired
        sound = np.zeros(FRAME, np.float32)
        if self.pending and self.quiet >= WAIT:
            time = np.arange(FRAME) / 16_000
            hertz = 125.0 if late else 187.5  # whole periods in a frame
            sound = sum(0.05 * np.sin(2 * np.pi * hertz * k * time) for k in (1, 2, 3))
            if self.quiet == WAIT:
                drink = "mocha" if late else "latte"
                yield CallEvent(
                    time=self.time, name="place_order", arguments={"items": [{"drink": drink}]}
                )
            self.pending = self.quiet < WAIT + ANSWER
        yield AudioEvent(time=self.time, samples=np.asarray(sound, np.float32))


def agent(tired: float) -> Agent:
    made: Any = SimpleNamespace(scenario=CAFE, session=lambda seed: Worn(tired))
    return cast("Agent", made)


@pytest.fixture
def clips(tmp_path: Path) -> list[Clip]:
    rng = np.random.default_rng(0)
    sf.write(tmp_path / "order.wav", 0.2 * rng.standard_normal(16_000), 16_000)
    row = {"path": "order.wav", "slots": {"coffeeDrink": "latte"}}
    (tmp_path / "manifest.jsonl").write_text(json.dumps(row) + "\n")
    return read_manifest(tmp_path)


def test_a_steady_agent_ends_as_it_began(clips: list[Clip]) -> None:
    told: list[float] = []
    held = hold(agent(1e9), clips, 11.0, progress=told.append)
    figures = report([held], bundle="made", data="made", minutes=11.0)
    assert told == sorted(told)
    assert told[-1] >= 660
    assert figures.first.right.share == figures.last.right.share == 1.0
    assert figures.first.answered.share == figures.last.answered.share == 1.0
    assert figures.first.pitch == pytest.approx(figures.last.pitch, rel=0.01)
    # five frames of silence, and the frame that a reply plays later; the clip's last is cut short
    assert figures.whole.gap_p50 == pytest.approx(5 * 80 + 40, abs=60)
    assert figures.whole.frame_ms == pytest.approx(4.0)


def test_one_that_wears_out_is_found_out(clips: list[Clip]) -> None:
    held = hold(agent(330.0), clips, 11.0)
    figures = report([held], bundle="made", data="made", minutes=11.0)
    assert figures.first.right.share == 1.0
    assert figures.last.right.share == 0.0
    assert figures.first.pitch is not None
    assert figures.last.pitch is not None
    assert figures.last.pitch / figures.first.pitch == pytest.approx(2 / 3, rel=0.03)
