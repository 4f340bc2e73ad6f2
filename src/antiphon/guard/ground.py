"""What a scenario's callers can name and its tables can say, word by word as it is told.

In: a scenario. Out: `corpus.knowledge` for sentences that are not over yet, and the sentences that
the scenario itself gives the agent. Knows nothing of calls in progress: `support` puts the two
together.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from antiphon.corpus import grammar, knowledge
from antiphon.corpus.edits import distance
from antiphon.corpus.grammar import Choice, Maybe, Node, Place, RuleRef, Sequence_, Shuffle, SlotRef
from antiphon.corpus.knowledge import Knowledge
from antiphon.corpus.scenario import FactSpec, Scenario

NUMBERS = knowledge.NUMBERS | {"million", "half", "dozen"}
_SLIPS = 4  # letters of a word from which a slip in it is forgiven
_MOST_SAYINGS = 2_000  # ways to say one template that are spelt out; more are not looked at
Words = tuple[str, ...]


class Ground(Knowledge):
    """Compiled of one scenario; calls share it."""

    def __init__(self, scenario: Scenario) -> None:
        super().__init__(scenario)
        self.values: dict[str, tuple[tuple[str, Words], ...]] = {
            name: tuple((v.value, tuple(v.value.split())) for v in spec.values)
            for name, spec in scenario.slots.items()
        }
        """Slot -> its values, as the agent says them."""
        self._telling = {
            name: {v: _distinct(v, [o for o, _ in values]) for v, _ in values}
            for name, values in self.values.items()
        }
        self.tellings: dict[Words, list[FactSpec]] = {
            tuple(phrase.split()): facts for phrase, facts in self.phrases.items()
        }
        """`phrases`, word by word."""
        self.nouns = _nouns(scenario)
        """Values that name what is ordered, as words; those that refusals use are left out."""
        self._own = _prefixes(_own_sayings(scenario))
        silence = scenario.silence
        nodes = () if silence is None else (silence.prompt, silence.goodbye)
        ways = [way for node in nodes for way in _sayings(node, scenario.rules) or ()]
        self._prompts = frozenset(tuple(grammar.plain(grammar.join(way)).split()) for way in ways)
        beside = scenario.beside
        murmurs = (_sayings(beside.agent, scenario.rules) or ()) if beside is not None else ()
        self._murmurs = frozenset(tuple(grammar.plain(grammar.join(w)).split()) for w in murmurs)

    def hinted(self, slot: str, value: str, words: frozenset[str]) -> bool:
        """Whether words hold what tells this value from the slot's others: "twelve" of "twelve
        ounce". A value that nothing tells apart ("coffee" beside "iced coffee") is never hinted."""
        telling = self._telling.get(slot, {}).get(value, ())
        return bool(telling) and all(
            any(_alike(t, word) for word in words if word) for t in telling
        )

    def is_own(self, words: Words) -> bool:
        """Whether the scenario has a sentence without slots that begins with these words."""
        return words in self._own

    def is_murmur(self, words: Words) -> bool:
        """Whether this is what the agent says beside a turn: it answers nothing."""
        return words in self._murmurs

    def begins_murmur(self, words: Words) -> bool:
        """Whether a murmur begins with these words, or is them."""
        return any(murmur[: len(words)] == words for murmur in self._murmurs)

    def is_prompt(self, words: Words) -> bool:
        """Whether this is what the scenario says to a caller who is silent."""
        return words in self._prompts


def _distinct(value: str, others: Sequence[str]) -> Words:
    """The words of a value that no other value of its slot has."""
    shared = {word for other in others if other != value for word in other.split()}
    return tuple(word for word in value.split() if word not in shared)


def _alike(word: str, heard: str) -> bool:
    """The same word, or what a transcript's slip makes of a longer one ("wholele")."""
    if word == heard:
        return True
    if len(word) < _SLIPS or heard[0] != word[0]:
        return False
    return heard.startswith(word) or distance(word, heard) <= (2 if len(word) >= 2 * _SLIPS else 1)


# -- the scenario's own sentences ----------------------------------------------


def _own_sayings(scenario: Scenario) -> Iterator[str]:
    """Every sentence without slots that the scenario gives the agent."""
    nodes: list[Node] = []
    for intent in scenario.intents.values():
        nodes += [*intent.reply.values(), *intent.reply_empty.values()]
    if scenario.silence is not None:
        nodes += [scenario.silence.prompt, scenario.silence.goodbye]
    if scenario.beside is not None:
        nodes.append(scenario.beside.agent)
    for node in nodes:
        for alternative in node.options if isinstance(node, Choice) else (node,):
            parts = grammar.with_rules(alternative, scenario.rules)
            if any(isinstance(part, SlotRef) and part.value is None for part in parts):
                continue
            ways = _sayings(alternative, scenario.rules)
            if ways is not None:
                yield from (grammar.plain(grammar.join(way)) for way in ways)


def _sayings(node: Node, rules: Mapping[str, Node]) -> list[Words] | None:
    """Every way to say a template without slots; None where there are too many."""
    match node:
        case grammar.Text(word):
            return [(word,)]
        case SlotRef() | Place():
            return [()]
        case RuleRef(name):
            return _sayings(rules[name], rules)
        case Choice(options, _):
            found: list[Words] = []
            for option in options:
                ways = _sayings(option, rules)
                if ways is None:
                    return None
                found += ways
            return found if len(found) <= _MOST_SAYINGS else None
        case Maybe(inner, _):
            ways = _sayings(inner, rules)
            return None if ways is None else [(), *ways]
        case Sequence_(parts) | Shuffle(parts):
            found = [()]
            for part in parts:
                ways = _sayings(part, rules)
                if ways is None or len(found) * len(ways) > _MOST_SAYINGS:
                    return None
                found = [(*before, *way) for before in found for way in ways]
            return found


def _nouns(scenario: Scenario) -> dict[Words, tuple[str, str]]:
    """Words -> (slot, value) of the slots that an item cannot be without."""
    needed: set[str] = set()
    for tool in scenario.tools:
        for schema in tool.parameters.get("properties", {}).values():
            needed |= set(schema.get("items", {}).get("required", ()))
    refused = " ".join(_refusals(scenario))
    return {
        tuple(value.value.split()): (name, value.value)
        for name in needed & set(scenario.slots)
        for value in scenario.slots[name].values
        if f" {value.value} " not in f" {refused} "
    }


def _refusals(scenario: Scenario) -> Iterator[str]:
    for name in ("out_of_domain", "unsafe"):
        spec = scenario.intents.get(name)
        for node in spec.reply.values() if spec is not None else ():
            for way in _sayings(node, scenario.rules) or ():
                yield grammar.plain(grammar.join(way))


def _prefixes(sentences: Iterator[str]) -> frozenset[Words]:
    found: set[Words] = set()
    for sentence in sentences:
        words = tuple(sentence.split())
        found |= {words[:length] for length in range(1, len(words) + 1)}
    return frozenset(found)
