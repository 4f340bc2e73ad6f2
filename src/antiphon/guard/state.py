"""What is known of a call at a moment: the caller's words, the calls made, what tools gave.

It takes the runtime's events as they come and is read by checks; it holds no sound. Times are
seconds of the call.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from antiphon.corpus import grammar
from antiphon.corpus.located_yaml import as_list
from antiphon.corpus.order import effects, fold
from antiphon.corpus.scenario import Scenario
from antiphon.guard.spelling import Spelling
from antiphon.runtime.events import CallerWordEvent, CallEvent, Tone

_MOST = 4_000  # words of the caller's that are kept: half an hour of talk
_MOST_TOO = 100  # turns that were found to say something else
_LATELY = 60.0  # s of spelling that may support a value; matching all of a long call takes too long
_LEAST_SPELT = 8.0  # s of it that a turn's spelling has at least
_EARLY = 0.3  # s that a caller may still speak when the agent begins, in the same turn
_MEANWHILE = 3.0  # s before the agent's first word within which a call is of that turn


@dataclass(frozen=True, slots=True)
class Said:
    """A sentence of the agent's, as far as it is known.

    words: plain, lower case. start: where the first begins. over: whether no more will come.
    """

    words: tuple[str, ...]
    start: float = 0.0
    over: bool = False

    @property
    def text(self) -> str:
        """The words with single spaces."""
        return " ".join(self.words)


@dataclass
class CallState:
    """One call. `version` counts what was learnt, so that readers know when to look again."""

    scenario: Scenario
    time: float = 0.0
    tone: Tone | None = None
    calls: list[CallEvent] = field(default_factory=list[CallEvent])
    """Calls that went out, in order."""
    results: list[str] = field(default_factory=list[str])
    """What tools gave, as text."""
    unheard: list[CallEvent] = field(default_factory=list[CallEvent])
    """Calls that did not go out, because the ears spelt nothing of them."""
    sentences: list[Said] = field(default_factory=list[Said])
    """What the agent has said before, oldest first."""
    second: str = ""
    """The caller's turn as a second ear heard it, plain; "" where there is none."""
    version: int = 0
    _spelling: Spelling = field(default_factory=Spelling)
    _tells: bool = False
    _caller: list[CallerWordEvent] = field(default_factory=list[CallerWordEvent])
    _too: list[str] = field(default_factory=list[str])
    _starts: list[float] = field(default_factory=list[float])  # of the agent's sentences

    def __post_init__(self) -> None:
        self._does = effects(self.scenario)

    # -- taking -----------------------------------------------------------------

    def hear(self, event: CallerWordEvent) -> None:
        """A word of the caller's."""
        self._caller.append(event)
        del self._caller[:-_MOST]
        self.version += 1

    def hear_second(self, words: str) -> None:
        """What a second ear makes of the turn."""
        if words != self.second:
            self.second = words
            self.version += 1

    def hear_too(self, words: str) -> None:
        """What the caller was found to have said, beside the words that were written down."""
        self._too.append(words)
        del self._too[:-_MOST_TOO]
        self.version += 1

    def spell(self, time: float, spelt: str) -> None:
        """What the ears spelt in a frame; "" where the bundle does not tell."""
        self._tells = self._tells or bool(spelt)
        if self._spelling.take(time, spelt):
            self.version += 1

    def drop(self, event: CallEvent) -> None:
        """A call that did not go out: nothing of it was heard."""
        self.unheard.append(event)
        self.version += 1

    def make(self, event: CallEvent) -> None:
        """A call that went out."""
        self.calls.append(event)
        self.version += 1

    def learn(self, result: str) -> None:
        """What a tool gave."""
        self.results.append(grammar.plain(result))
        self.version += 1

    def begin(self, start: float) -> None:
        """The agent begins a sentence."""
        self._starts.append(start)
        self.version += 1

    def retract(self, start: float) -> None:
        """The sentence that began then was a murmur: the caller's words before it wait still."""
        if self._starts and self._starts[-1] == start:
            self._starts.pop()
            self.version += 1

    def finish(self, said: Said) -> None:
        """The agent's sentence is over."""
        self.sentences.append(said)
        del self.sentences[:-50]

    # -- reading ----------------------------------------------------------------

    @property
    def heard(self) -> str:
        """All that the caller said, plain."""
        return grammar.plain(" ".join([*(event.text for event in self._caller), *self._too]))

    @property
    def spelt(self) -> str:
        """What the ears spelt of the caller lately; "" where the bundle does not tell."""
        return self._spelling.since(self.time - _LATELY)

    @property
    def spelt_turn(self) -> str | None:
        """What they spelt since the agent's last sentence but this one began, and in the last
        seconds at least (an agent may begin twice); None where the bundle does not tell."""
        if not self._tells:
            return None
        since = self._starts[-2] if len(self._starts) > 1 else -1.0
        return self._spelling.since(min(since, self.time - _LEAST_SPELT))

    @property
    def turn(self) -> str:
        """What the caller said last, plain: since the agent's last sentence but this one began."""
        return self.turn_before(len(self._starts) - 1)

    def turn_before(self, index: int) -> str:
        """The caller's words that the agent's sentence `index` answers, plain."""
        since = self._starts[index - 1] + _EARLY if 0 < index <= len(self._starts) else -1.0
        until = self._starts[index] + _EARLY if 0 <= index < len(self._starts) - 1 else None
        said = [
            event.text
            for event in self._caller
            if event.end > since and (until is None or event.end <= until)
        ]
        return grammar.plain(" ".join(said))

    @property
    def waiting(self) -> str:
        """The caller's words since the agent's latest sentence began, plain."""
        since = self._starts[-1] + _EARLY if self._starts else -1.0
        return grammar.plain(" ".join(e.text for e in self._caller if e.end > since))

    @property
    def caller_words(self) -> tuple[CallerWordEvent, ...]:
        """The caller's words with their times."""
        return tuple(self._caller)

    @property
    def order(self) -> list[dict[str, Any]]:
        """The items that stand."""
        return list((fold(self.calls, self.scenario) or {"items": []})["items"])

    def transcript(self) -> list[tuple[str, str]]:
        """(speaker, text) in the order in which it was said."""
        said = [(event.end, "caller", event.text) for event in self._caller]
        said += [(sentence.start, "agent", sentence.text) for sentence in self.sentences]
        lines: list[tuple[str, str]] = []
        for _, speaker, text in sorted(said, key=lambda each: each[0]):
            if lines and lines[-1][0] == speaker == "caller":
                lines[-1] = (speaker, f"{lines[-1][1]} {text}")
            else:
                lines.append((speaker, text))
        return lines

    def calls_of_turn(self) -> list[CallEvent]:
        """The calls that go with the agent's present sentence."""
        since = self._starts[-1] - _MEANWHILE if self._starts else 0.0
        floor = self._starts[-2] if len(self._starts) > 1 else -1.0
        return [call for call in self.calls if call.time >= max(since, floor)]

    def effect(self, name: str) -> str:
        """What a tool does to the order: "add", "change", "clear" or "none"."""
        return self._does.get(name, "none")


def items_of(calls: Iterable[CallEvent]) -> Iterator[dict[str, str]]:
    """The objects that calls name."""
    for call in calls:
        yield from objects_of(call.arguments)


def objects_of(arguments: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    """The objects that a call's arguments name: each of a list, or the arguments themselves."""
    values = (as_list(value) for value in arguments.values())
    lists = [value for value in values if value is not None]
    for entry in lists[0] if lists else [dict(arguments)]:
        if isinstance(entry, dict):
            pairs = cast("dict[str, Any]", entry).items()
            yield {str(name): str(value) for name, value in pairs}
