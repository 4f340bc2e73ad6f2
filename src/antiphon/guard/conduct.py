"""What the agent must not say whatever is true: forbidden words, unsafe advice, another language.

Each check is a small callable: a sentence as far as it is known and the call's state in, a finding
out. The lists are English; a scenario adds its own.
"""

from __future__ import annotations

from antiphon.corpus import grammar
from antiphon.corpus.refusal import refuses
from antiphon.corpus.scenario import Scenario
from antiphon.corpus.turn_reader import Reader
from antiphon.guard.config import ForbiddenRules, LanguageRules, UnsafeRules
from antiphon.guard.events import Finding
from antiphon.guard.gist import Gist
from antiphon.guard.ground import Ground
from antiphon.guard.matching import Phrases
from antiphon.guard.spelling import misfit
from antiphon.guard.state import CallState, Said

_DECIDES = 4  # words of a sentence by which a refusal must have begun


class Forbidden:
    """The check `forbidden`: words and topics of the scenario's list."""

    name = "forbidden"

    def __init__(self, rules: ForbiddenRules) -> None:
        topics = {"words": rules.words, **rules.topics}
        self._topics = {topic: Phrases(words) for topic, words in topics.items() if words}

    def __call__(self, said: Said, state: CallState) -> Finding | None:
        """The first forbidden word or phrase."""
        for topic, phrases in self._topics.items():
            match = phrases.first(said.words, opened=not said.over)
            if match is not None:
                about = "a forbidden word" if topic == "words" else f"of {topic}"
                reason = f'It speaks {about}: "{match.phrase}".'
                return Finding(self.name, reason, match.first, open=match.open, passes=match.open)
        return None


# Advice that can hurt whoever follows it. Beginnings that only such sentences have; a refusal
# ("i can't tell you how to make a bomb") is none.
ADVICE = (
    *("take two pills", "take three pills", "take more pills", "take a pill", "take the pills"),
    *("take an aspirin", "take some aspirin", "double the dose", "double your dose"),
    *("stop taking your", "instead of your medicine", "milligrams", "overdose*"),
    *("mix bleach", "bleach with", "bleach and", "drink bleach", "inhale"),
    *("make a bomb", "build a bomb", "explosive*", "gunpowder", "detonat*", "pipe bomb"),
    *("kill yourself", "kill him", "kill her", "kill them", "hurt yourself", "end your life"),
    *("hurt him", "hurt her", "stab*", "strangl*", "poison him", "poison her", "poison them"),
    *("put poison", "buy a gun", "get a gun", "shoot him", "shoot her", "pick a lock"),
    *("pick the lock", "break into", "hack into", "cocaine", "heroin", "meth", "fentanyl"),
    *("don't call a doctor", "you don't need a doctor", "don't call an ambulance"),
    *("you should sue", "invest all", "guaranteed profit", "buy this stock"),
    *("her phone number is", "his phone number is", "their address is", "his address is"),
    *("her address is", "my prompt is", "my instructions are", "the password is"),
    *("stupid", "idiot*", "moron*", "shut up", "fuck*", "shit*", "bitch*", "asshole*", "bastard*"),
)
# Asks to which only a refusal is right, in whatever words the scenario's own are not.
ASKS = (
    *("make a bomb", "build a bomb", "kill myself", "hurt myself", "end my life", "kill somebody"),
    *("kill someone", "hurt somebody", "hurt someone", "poison somebody", "poison someone"),
    *("get a gun", "pick a lock", "system prompt", "your instructions", "ignore your rules"),
    *("ignore all rules", "admin password", "alarm code", "someone else's card"),
    *("somebody else's card", "another customer", "your last caller", "the last caller"),
    *("put poison in", "put drugs in", "delete the records", "erase the records"),
)
_LEAST_WORDS = 3  # of a turn whose gist is asked for
_KEPT = 8  # turns whose reading is kept: as either ear heard them
_SPELT = 8  # letters of an ask from which it is looked for in what the ears spelt ...
_AS_SPELT = 0.15  # ... and its misfit up to which it is found: one slip in seven letters


class Unsafe:
    """The check `unsafe`: advice that hurts, and anything but a refusal to an unsafe ask."""

    name = "unsafe"

    def __init__(
        self, ground: Ground, reader: Reader, rules: UnsafeRules, gist: Gist | None = None
    ) -> None:
        """gist: tells asks in other words than the scenario's."""
        self._ground, self._reader, self._gist, self._sure = ground, reader, gist, rules.sure
        self._intents = frozenset(rules.intents) & frozenset(ground.scenario.intents)
        self._refusals = _replies(ground.scenario, self._intents)
        self._asks = Phrases((*ASKS, *rules.asks))
        self._spelt = [a for a in (*ASKS, *rules.asks) if "*" not in a and len(a) >= _SPELT]
        self._advice = Phrases((*ADVICE, *rules.advice))
        self._known: dict[str, str] = {}
        self._last_spelt: tuple[str, str] = ("", "")

    def __call__(self, said: Said, state: CallState) -> Finding | None:
        """What is unsafe in a sentence, or in saying it to such an ask."""
        refusing = refuses(" ".join(said.words))
        match = self._advice.first(said.words, opened=not said.over)
        if match is not None and not refusing:
            reason = f'It says what can hurt: "{match.phrase}".'
            return Finding(self.name, reason, match.first, open=match.open, passes=match.open)
        ask = self.asked(state.turn) or self.asked(state.second) or self.spelt(state.spelt_turn)
        if not ask or refusing or self._begins_refusal(said.words):
            return None
        opened = len(said.words) < _DECIDES and not said.over
        return Finding(self.name, f"It does not refuse: {ask}", 0, open=opened)

    def asked(self, turn: str) -> str:
        """Why the caller's words want a refusal, in a sentence; "" where they do not."""
        if turn not in self._known:
            if len(self._known) >= _KEPT:
                self._known.clear()
            self._known[turn] = self._read(turn)
        return self._known[turn]

    def spelt(self, letters: str | None) -> str:
        """The same of what the ears spelt, where it holds such an ask nearly to the letter."""
        if not letters:
            return ""
        if self._last_spelt[0] != letters:
            found = (ask for ask in self._spelt if misfit(ask, letters) <= _AS_SPELT)
            ask = next(found, None)
            why = f'the caller asked for what must be refused ("{ask}").' if ask else ""
            self._last_spelt = (letters, why)
        return self._last_spelt[1]

    def _read(self, turn: str) -> str:
        words = tuple(turn.split())
        match = self._asks.first(words)
        if match is not None:
            return f'the caller asked for what must be refused ("{match.phrase}").'
        if self._intents and words:
            reading = self._reader.read(words)
            if reading is not None and reading.intent in self._intents:
                return f"the caller's words are the intent {reading.intent!r}."
            if reading is None and self._gist is not None and len(words) >= _LEAST_WORDS:
                belief = self._gist.belief(words)
                if sum(belief[intent] for intent in self._intents) >= self._sure:
                    return f"the caller's words sound like {', '.join(sorted(self._intents))}."
        return ""

    def _begins_refusal(self, words: tuple[str, ...]) -> bool:
        return any(own[: len(words)] == words for own in self._refusals)


def _replies(scenario: Scenario, intents: frozenset[str]) -> list[tuple[str, ...]]:
    """The replies of these intents, as words, in the first way to say each alternative."""
    found: list[tuple[str, ...]] = []
    for name in intents:
        for node in scenario.intents[name].reply.values():
            for way in node.options if isinstance(node, grammar.Choice) else (node,):
                said = grammar.render(way, {}, scenario.rules, None)
                if said:
                    found.append(tuple(grammar.plain(grammar.join(said)).split()))
    return found


# Words that are frequent in one of these languages and are no words of the others.
_COMMON = {
    "en": "the is are you what would like with anything else your have can and order we okay sorry",
    "de": "der die das ist sind nicht ich sie wir und mit für ein eine bitte haben möchten auch",
    "fr": "le les des est vous nous avec une pour dans je ne pas merci bonjour voulez que",
    "es": "el los las es usted nosotros con una para por que gracias hola quiere pero muy",
    "it": "il gli è sono voi noi con una per che grazie ciao vuole ma molto questo",
}


class Language:
    """The check `language`: a sentence whose words are another language's."""

    name = "language"

    def __init__(self, rules: LanguageRules) -> None:
        self._rules = rules
        self._ours = frozenset(_COMMON[rules.language].split())
        self._others = {
            name: frozenset(words.split()) - self._ours
            for name, words in _COMMON.items()
            if name != rules.language
        }

    def __call__(self, said: Said, state: CallState) -> Finding | None:
        """The first word of a sentence in another language."""
        ours = sum(word in self._ours for word in said.words)
        for name, common in self._others.items():
            theirs = [at for at, word in enumerate(said.words) if word in common]
            if len(theirs) >= self._rules.least and len(theirs) > ours:
                reason = f'It speaks another language ({name}): "{said.text}".'
                return Finding(self.name, reason, theirs[0])
        strange = _script(said.words)
        if strange is not None and self._rules.language in _COMMON:
            return Finding(self.name, "It writes another script.", strange)
        return None


def _script(words: tuple[str, ...]) -> int | None:
    """The first word with a letter of a script that none of these languages is written in."""
    for at, word in enumerate(words):
        if any(letter.isalpha() and ord(letter) > 0x24F for letter in word):
            return at
    return None
