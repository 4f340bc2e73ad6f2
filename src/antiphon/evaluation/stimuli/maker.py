"""What the kinds of stimuli are made with: callers, their sentences, clips on disk.

Everything is drawn from generators that are seeded by (seed, what it is for), so that any stimulus
can be made without the others, and always the same.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from antiphon.audio import SAMPLE_RATE
from antiphon.audio.io import write
from antiphon.corpus import digits as spoken_digits
from antiphon.corpus.calls import Call
from antiphon.corpus.grammar import Slots, Spoken, join
from antiphon.corpus.scenario import Scenario
from antiphon.corpus.voices import Voice, Voices
from antiphon.corpus.voices.speech import with_pauses
from antiphon.errors import CorpusError
from antiphon.evaluation.script import Clip
from antiphon.evaluation.stimuli.apart import of_test
from antiphon.evaluation.stimuli.generic import fill, generic
from antiphon.evaluation.stimuli.reader import SentenceReader
from antiphon.evaluation.stimuli.wants import Wants
from antiphon.runtime.events import Samples

CALLERS = 48  # people who call; each has a voice, a tempo, a pitch and a vocal tract
_DRAWS = 1_000  # sentences drawn for one before the scenario is taken to have none
_ATTEMPTS = 6
_PROBES = 12
_AFTER = 0.2  # s of quiet after a clip's last sound
_FLOOR = 0.01  # of a noise's peak: where it begins and ends


class TooFewSentences(CorpusError):
    """A scenario whose callers have too few ways to say something to keep some from training."""


@dataclass(frozen=True)
class Person:
    """Somebody who calls: `name` tells people with one engine's voice apart."""

    name: str
    voice: Voice


@dataclass(frozen=True)
class Said:
    """A sentence of the scenario, what it means, and the call that a right agent makes of it."""

    intent: str
    text: str
    spoken: Spoken
    call: Call | None


class Maker:
    """Makes clips of one set of stimuli in `folder`; avoid: sentences, bare, never to be said."""

    def __init__(
        self,
        scenario: Scenario,
        voices: Voices,
        folder: Path,
        seed: int,
        avoid: frozenset[str] = frozenset(),
    ) -> None:
        self.scenario, self.reader, self.generic = scenario, SentenceReader(scenario), generic()
        self._voices, self._folder, self._seed, self._avoid = voices, folder, seed, avoid
        self.wants = Wants(scenario)
        self._attempt = 0
        self._chosen: dict[str, list[str]] = {}
        (folder / "clips").mkdir(parents=True, exist_ok=True)

    def rng(self, what: str) -> random.Random:
        """The generator of one stimulus, or of what several share."""
        again = f" attempt {self._attempt}" if self._attempt else ""
        return random.Random(f"{self._seed} {what}{again}")

    def attempts(self) -> Iterator[int]:
        """A few tries at a stimulus, each with generators of its own: a script may run into turns
        for which the scenario has no words that are kept from training."""
        try:
            for self._attempt in range(_ATTEMPTS):
                yield self._attempt
        finally:
            self._attempt = 0

    def chosen(self, what: str, intents: Sequence[str], fits: Callable[[Said], bool]) -> list[str]:
        """Those intents of which a few sentences, drawn once, hold one that `fits`."""
        if what not in self._chosen:
            rng = random.Random(what)
            self._chosen[what] = [
                name for name in intents if any(fits(self._said(name, rng)) for _ in range(_PROBES))
            ]
        return self._chosen[what]

    def person(self, rng: random.Random, other_than: Person | None = None) -> Person:
        """One of the callers, all of them strangers to training."""
        while True:
            number = rng.randrange(CALLERS)
            voice = self._voices.caller("test", self.rng(f"caller {number}"))
            person = Person(f"{voice.name}#{number:02d}", voice)
            if other_than is None or person.name != other_than.name:
                return person

    # -- sentences ------------------------------------------------------------------------------

    def say(
        self,
        intents: Sequence[str],
        rng: random.Random,
        before: Sequence[str] = (),
        fits: Callable[[Said], bool] | None = None,
    ) -> Said:
        """A sentence of one of these intents that, after those `before`, is kept from training.

        Raises TooFewSentences where the scenario has none that also `fits`.
        """
        for _ in range(_DRAWS):
            intent = rng.choices(intents, [self._weight(name) for name in intents])[0]
            said = self._said(intent, rng)
            if not of_test([*before, said.text]) or self._is_known(said):
                continue
            if fits is None or fits(said):
                return said
        raise TooFewSentences(
            f"{self.scenario.name}: none of {_DRAWS} sentences of {' or '.join(intents)} can be "
            "kept from training; give callers more ways to say it"
        )

    def _said(self, intent: str, rng: random.Random) -> Said:
        spoken = self.scenario.say(intent, rng)
        call = self.scenario.call(intent, spoken.slots, spoken.items)
        return Said(intent, join(spoken.tokens), spoken, call)

    def _is_known(self, said: Said) -> bool:
        """Whether a training corpus has this very order or number."""
        things = self.reader.names_things(said.intent)
        return things and self.reader.bare(said.text) in self._avoid

    def _weight(self, intent: str) -> float:
        return max(self.scenario.intents[intent].weight.values())

    def words(self, templates: Sequence[str], rng: random.Random, **parts: Sequence[str]) -> str:
        """A generic sentence that no caller of the scenario could say."""
        for _ in range(_DRAWS):
            text = fill(rng.choice(templates), rng, **parts)
            if not self.reader.intents(text):
                return text
        raise TooFewSentences(f"{self.scenario.name}: its callers can say all of {templates}")

    def again(self, said: Said, rng: random.Random, before: Sequence[str]) -> str:
        """What somebody says who was not understood."""
        slots = {**said.spoken.slots}
        numbers = [v for k, v in slots.items() if self.scenario.slots[k].digits]
        things: Sequence[Slots] = said.spoken.items or ([slots] if slots else [])
        if numbers:
            again = spoken_digits.say_as_caller(numbers[0], rng)
        else:
            again = self.scenario.phrase(things)
        if not again:
            return self.say([said.intent], rng, before).text
        return self.words(self.generic.repairs, rng, said=again)

    # -- clips ----------------------------------------------------------------------------------

    def clip(
        self,
        stem: str,
        person: Person,
        text: str,
        rng: random.Random,
        *,
        tone: str = "neutral",
        pauses: Sequence[tuple[int, float]] = (),
    ) -> Clip:
        """Speak the text into clips/`stem`.flac. Raises VoiceError where the engine cannot."""
        speech, silences = with_pauses(person.voice.speak(text, rng, tone), pauses)
        return Clip(
            path=self._write(stem, speech.samples),
            text=text,
            voice=person.voice.name,
            tone=tone,
            words=tuple((word, _ms(a), _ms(b)) for word, a, b in speech.words),
            pauses=tuple((_ms(a), _ms(b)) for a, b in silences),
            start=_ms(speech.start),
            end=_ms(speech.end),
        )

    def aside(self, stem: str, person: Person, text: str, rng: random.Random, db: float) -> Clip:
        """The text spoken away from the line: `db` dB down, and dull."""
        speech = person.voice.speak(text, rng)
        turned_away = np.hanning(9).astype(np.float32)
        turned_away *= np.float32(10 ** (db / 20)) / turned_away.sum()
        dull = np.asarray(np.convolve(speech.samples, turned_away, "same"), dtype=np.float32)
        return Clip(
            path=self._write(stem, dull),
            text=text,
            voice=person.voice.name,
            words=tuple((word, _ms(a), _ms(b)) for word, a, b in speech.words),
            start=_ms(speech.start),
            end=_ms(speech.end),
        )

    def noise(self, stem: str, samples: Samples) -> Clip:
        """A sound without words; its bounds are those of what is audible in it."""
        loud = np.flatnonzero(np.abs(samples) > _FLOOR * np.abs(samples).max(initial=0.0))
        start, end = loud[0] / SAMPLE_RATE, (loud[-1] + 1) / SAMPLE_RATE
        return Clip(path=self._write(stem, samples), start=_ms(start), end=_ms(end))

    def _write(self, stem: str, samples: Samples) -> str:
        path = f"clips/{stem.replace('/', '-')}.flac"
        quiet = np.zeros(round(_AFTER * SAMPLE_RATE), np.float32)
        write(self._folder / path, np.concatenate([samples, quiet]))
        return path


def numpy_rng(rng: random.Random) -> np.random.Generator:
    """A numpy generator that goes on from this one."""
    return np.random.default_rng(rng.getrandbits(63))


def seconds(rng: random.Random, shortest: float, longest: float) -> float:
    """A time between the two, to the millisecond."""
    return _ms(rng.uniform(shortest, longest))


def _ms(value: float) -> float:
    return round(float(value), 3)
