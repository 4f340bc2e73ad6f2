"""A voice without an engine, and a scenario small enough to read."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from antiphon.corpus.conversation import Conversation, Event, Speaker, Word
from antiphon.corpus.voices.speech import Speech, Timed

TINY = """\
name: tiny
slots:
  size: [small, medium, large]
  drink: [latte, mocha, americano]
object:
  say: {item: "a [{size}] {drink}"}
  reply: "a [{size}] {drink}"
tools:
  place_order:
    parameters:
      type: object
      required: [items]
      properties:
        items:
          type: array
          minItems: 1
          maxItems: 3
          items:
            type: object
            required: [drink]
            properties: {size: {slot: size}, drink: {slot: drink}}
intents:
  order:
    say: "(can i get | i would like | give me) <item> [please]"
    weight: 2
    call: place_order
    effect: add
    reply: "sure , {said} ."
  out_of_domain:
    say: "(book | cancel | find) me a (flight | table | taxi) [please | now | today]"
    weight: 1
    reply: "sorry , i can only help with orders ."
"""


class Beeps:
    """A voice that beeps .2 s a word, .05 s apart, after .03 s of silence."""

    def __init__(self, name: str, speaker: Speaker) -> None:
        self.name, self.speaker = name, speaker

    def speak(
        self, text: str, rng: random.Random, tone: str = "neutral", speed: float = 1.0
    ) -> Speech:
        pitch = rng.uniform(200, 800)
        beep = 0.3 * np.sin(2 * np.pi * pitch * np.arange(3200) / 16_000)
        words: list[Timed] = []
        samples = [np.zeros(480)]
        at = 0.03
        for word in text.split():
            words.append((word.strip(",.?!"), at, at + 0.2))
            samples += [beep, np.zeros(800)]
            at += 0.25
        return Speech(np.concatenate(samples).astype(np.float32), tuple(words), 0.03, at - 0.05)


class BeepingVoices:
    """Stands in for `Voices`."""

    def __init__(self) -> None:
        self.agent = Beeps("beep:agent", "agent")

    def caller(self, group: str, rng: random.Random) -> Beeps:
        return Beeps(f"beep:{group}{rng.randrange(3)}", "caller")

    def close(self) -> None:
        """Nothing to end."""


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    """A scenario file."""
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY)
    return path


@pytest.fixture
def beeping(monkeypatch: pytest.MonkeyPatch) -> None:
    """Corpora are built with beeps."""
    monkeypatch.setattr("antiphon.corpus.build.Voices", BeepingVoices)


@pytest.fixture
def conversation() -> Conversation:
    """Two seconds: the caller says two words, the agent one, with turns and a call."""
    rng = np.random.default_rng(0)
    audio = np.zeros((2, 25 * 1280), np.float32)
    audio[1, 3200:12_800] = 0.1 * rng.standard_normal(9600)
    audio[0, 17_600:24_000] = 0.1 * rng.standard_normal(6400)
    words = (
        Word(text="a", start=0.2, end=0.4, speaker="caller"),
        Word(text="latte", start=0.4, end=0.8, speaker="caller"),
        Word(text="sure", start=1.1, end=1.5, speaker="agent"),
    )
    call = {"name": "place_order", "arguments": {"items": [{"drink": "latte"}]}}
    events = (
        Event(kind="turn", speaker="caller", start=0.2, end=0.8, data={"text": "a latte"}),
        Event(kind="call", speaker="agent", start=0.8, end=0.8, data=call),
        Event(kind="turn", speaker="agent", start=1.1, end=1.5, data={"text": "sure"}),
    )
    return Conversation(np.clip(audio, -1, 1), words, events)


@pytest.fixture
def beeps() -> Callable[[str], Speech]:
    """Makes the speech of a text."""
    voice = Beeps("beep:agent", "agent")
    return lambda text: voice.speak(text, random.Random(0))
