"""Voices: text in, speech with word times out.

Callers come from groups: "train" and "natural" to learn from, "test" and "natural-test" to measure
by, and nobody of these is in those. The natural ones are neural networks and have to be installed
(`phonemes.INSTALL`, `make kokoro`). The agent always has the same voice. Knows nothing of dialogues
or files.
"""

from __future__ import annotations

import random
from typing import Literal, Protocol, Self

from antiphon.corpus.conversation import Speaker
from antiphon.corpus.voices import espeak, flite, kokoro, pico
from antiphon.corpus.voices.espeak import EspeakVoice
from antiphon.corpus.voices.festival import AgentVoice, Festival, FestivalVoice
from antiphon.corpus.voices.flite import FliteVoice
from antiphon.corpus.voices.hibari import PEOPLE, HibariVoice
from antiphon.corpus.voices.kokoro import KokoroVoice
from antiphon.corpus.voices.manner import Manner, any_manner
from antiphon.corpus.voices.pico import PicoVoice
from antiphon.corpus.voices.speech import Speech, Voice
from antiphon.errors import VoiceError

__all__ = ["GROUPS", "Cast", "Group", "Manner", "Speech", "Voice", "Voices"]

Group = Literal["train", "natural", "mixed", "test", "natural-test"]

# group -> voice: share of the conversations. espeak-ng stays at a fifth or less.
GROUPS: dict[Group, dict[str, float]] = {
    "train": {
        "flite:slt": 0.16,
        "flite:awb": 0.17,
        "flite:rms": 0.17,
        "festival:ked_diphone": 0.14,
        "pico:en-US": 0.11,
        "pico:en-GB": 0.11,
        "espeak": 0.14,
    },
    "natural": {"hibari": 0.4, "kokoro": 0.6},
    "test": {"flite:kal16": 0.45, "festival:kal_diphone": 0.4, "espeak": 0.15},
    "natural-test": {f"kokoro:{speaker}": 1.0 for speaker in kokoro.HELD_OUT},
}
# Conversations, in which a slow voice would cost hours: the fast natural one for half of them.
GROUPS["mixed"] = {"hibari": 0.5} | {name: share / 2 for name, share in GROUPS["train"].items()}


class Agent(Protocol):
    """The agent's voice, as `AgentVoice` has it."""

    @property
    def name(self) -> str: ...
    @property
    def speaker(self) -> Speaker: ...
    def speak(
        self, text: str, rng: random.Random, tone: str = "neutral", speed: float = 1.0
    ) -> Speech: ...


class Cast(Protocol):
    """Who speaks in conversations."""

    @property
    def agent(self) -> Agent: ...
    def caller(self, group: Group, rng: random.Random) -> Voice:
        """Somebody of the group."""
        ...


class Voices:
    """All voices of one worker: its festival process lives until `close`."""

    def __init__(self) -> None:
        self._festival = Festival()
        self.agent = AgentVoice(self._festival)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the festival process."""
        self._festival.close()

    def caller(self, group: Group, rng: random.Random) -> Voice:
        """Somebody of the group, with a tempo, a pitch and a vocal tract of their own."""
        shares = GROUPS[group]
        name = rng.choices(list(shares), list(shares.values()))[0]
        if name == "espeak":
            name = f"espeak:{_accent(group, rng)}"
        elif name == "hibari":
            name = f"hibari:{rng.randrange(PEOPLE)}"
        elif name == "kokoro":
            name = f"kokoro:{kokoro.anybody(rng)}"
        return self.named(name, any_manner(rng))

    def named(self, name: str, manner: Manner | None = None) -> Voice:
        """The voice as a corpus names it: "flite:rms", "espeak:en-us+m3", "festival:slt-hts"."""
        if name == self.agent.name:
            return self.agent
        manner = manner or Manner()
        engine, _, person = name.partition(":")
        accent, _, variant = person.partition("+")
        if engine == "flite" and person in flite.VOICES:
            return FliteVoice(person, manner)
        if engine == "festival" and person in ("ked_diphone", "kal_diphone"):
            return FestivalVoice(self._festival, person, manner)
        if engine == "pico" and person in pico.VOICES:
            return PicoVoice(person, manner)
        if engine == "hibari" and person.isdecimal() and int(person) < PEOPLE:
            return HibariVoice(int(person), manner)
        if engine == "kokoro" and kokoro.known(person):
            return KokoroVoice(person, manner)
        if engine == "espeak" and accent in espeak.ACCENTS and variant in espeak.VARIANTS:
            return EspeakVoice(accent, variant, manner)
        raise VoiceError(
            f'there is no voice "{name}"; a corpus names flite:rms, espeak:en-us+m3 ...'
        )


def _accent(group: Group, rng: random.Random) -> str:
    """Held out: one accent with any variant, and three variants with any accent."""
    train_accents = [a for a in espeak.ACCENTS if a != espeak.HELD_OUT_ACCENT]
    train_variants = [v for v in espeak.VARIANTS if v not in espeak.HELD_OUT_VARIANTS]
    if group != "test":
        return f"{rng.choice(train_accents)}+{rng.choice(train_variants)}"
    if rng.random() < 0.5:
        return f"{espeak.HELD_OUT_ACCENT}+{rng.choice(espeak.VARIANTS)}"
    return f"{rng.choice(list(espeak.ACCENTS))}+{rng.choice(espeak.HELD_OUT_VARIANTS)}"
