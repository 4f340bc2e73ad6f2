"""The check `reading`: what the caller's words read as by the scenario, beside what was called.

The network writes down what it hears and acts on it by different heads, and the writing is the
better of the two: where the words are a sentence of the scenario's, the call says something else,
and one of them is right, it is the words five times in six (docs/experiments/reading.md). So such a
call is replaced by what the words say, with the scenario's own reply; and a turn that is left
unanswered is answered in the same way.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from antiphon.corpus import grammar
from antiphon.corpus.calls import Call
from antiphon.corpus.order import fold
from antiphon.corpus.turn_reader import DIGIT_WORDS, Reader, Reading, State
from antiphon.errors import ScenarioError
from antiphon.guard.config import ReadingRules
from antiphon.guard.events import Finding
from antiphon.guard.ground import Ground
from antiphon.guard.second_ear import SecondEar
from antiphon.guard.state import CallState, objects_of
from antiphon.runtime.events import CallEvent

_KEPT = 8  # readings that are kept: of the words as they come, of either ear
_WAYS = 12  # drawings of a reply, so that one of them begins as the agent has begun


@dataclass(frozen=True)
class Second:
    """What a turn asks for, by its words alone."""

    words: str
    """The turn's."""
    call: Call | None
    """None: it wants words alone, such as a price or a refusal."""
    replies: tuple[str, ...]
    """The scenario's reply to it, in some of its ways; none where it has none."""
    skipped: int
    """How many of the words come before the sentence that was read."""

    @property
    def text(self) -> str:
        """The reply, or ""."""
        return self.replies[0] if self.replies else ""

    def after(self, said: Sequence[str]) -> str:
        """What is left of the reply for who has said these plain words of it already; all of it
        where no way of saying it begins so."""
        for way in self.replies:
            words = grammar.plain(way).split()
            if words[: len(said)] == list(said):
                rest = " ".join(words[len(said) :])
                return rest if said and rest else way
        return self.text


class SecondReading:
    """The check `reading`, of one call. `ear`: the second ear of this call, if it has one."""

    name = "reading"

    def __init__(
        self, ground: Ground, reader: Reader, rules: ReadingRules, ear: SecondEar | None = None
    ) -> None:
        self._ground, self._reader, self._rules, self._ear = ground, reader, rules, ear
        self._rng = random.Random(0)
        self._known: dict[tuple[str, str, int], Second | None] = {}

    def listens(self) -> bool:
        """Whether the second ear is still at the turn; it is told that the turn is over."""
        if self._ear is None:
            return False
        self._ear.finish()
        return self._ear.busy

    def words(self) -> str:
        """The turn as the second ear heard it, where its words fit; else ""."""
        heard = self._ear.heard if self._ear is not None else None
        return "" if heard is None or heard.misfit > self._rules.misfit else " ".join(heard.text)

    def of(self, state: CallState, words: str) -> Second | None:
        """What a turn asks for: as the second ear heard it, where it could, or by these words, if
        they are a sentence of the scenario's, or end in one that calls a tool and no value is named
        before."""
        second = self._by(state, self.words())
        return second if second is not None and not second.skipped else self._by(state, words)

    def _by(self, state: CallState, words: str) -> Second | None:
        tone = state.tone or "neutral"
        key = (words, tone, len(state.calls))
        if key not in self._known:
            if len(self._known) >= _KEPT:
                self._known.clear()
            self._known[key] = self._read(state, words, tone)
        return self._known[key]

    def of_call(self, call: CallEvent, state: CallState) -> Finding | None:
        """Whether the turn asks for something else than a call does. Words that are still to come
        may show that it does not."""
        second = self.of(state, state.waiting or state.turn)
        asked = second.call if second is not None else None
        if second is None or asked is None or asked.name != call.name or not second.text:
            return None
        ours, theirs = (list(objects_of(each.arguments)) for each in (call, asked))
        if ours == theirs:
            return None
        if second.skipped and not _beyond(theirs, ours):
            return None  # what was called beside it may stand in the words that were not read
        reason = f"It called {call.name} with something else than the caller's words ask for."
        return Finding(self.name, reason, open=True)

    def _read(self, state: CallState, words: str, tone: str) -> Second | None:
        held: State = "held" if state.order else "empty"
        spoken = words.split()
        found = self._reader.read_end(spoken, held)
        if found is None:
            return None
        at, reading = found
        if at and self._names(spoken[:at]):
            return None
        return self._answer(state, words, reading, at, tone)

    def _names(self, words: list[str]) -> bool:
        """Whether a slot's value, or a digit, is among these words."""
        text, slots = " ".join(words), self._ground.scenario.slots
        return any(word in DIGIT_WORDS for word in words) or any(
            self._ground.named(slot, text) for slot in slots
        )

    def _answer(
        self, state: CallState, words: str, reading: Reading, at: int, tone: str
    ) -> Second | None:
        scenario, rng = self._ground.scenario, self._rng
        spec = scenario.intents[reading.intent]
        nothing = bool(spec.reply_empty) and not state.order
        call = scenario.call(reading.intent, reading.slots, reading.items)
        if call is None and at:
            return None  # the end of anything may be a "yes"
        if nothing and call is not None:
            return None
        try:
            if call is not None:
                scenario.call_vocabulary.encode(call)
            made = [*state.calls, call] if call is not None else state.calls
            held = (fold(made, scenario) or {"items": []})["items"]
            ways = [
                scenario.reply_to_nothing(reading.intent, rng, tone)
                if nothing
                else scenario.reply(reading.intent, reading.slots, reading.items, held, rng, tone)
                for _ in range(_WAYS)
            ]
        except ScenarioError:  # what the grammar allows and the tool or the replies do not
            return None
        return Second(words, call, tuple(way for way in ways if way), at)


def _beyond(first: list[dict[str, str]], second: list[dict[str, str]]) -> bool:
    """Whether the first names anything that the second does not, place for place."""
    if len(first) > len(second):
        return True
    pairs = zip(first, second, strict=False)
    return any(not one.items() <= other.items() for one, other in pairs)
