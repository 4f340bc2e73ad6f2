"""A scenario: one file that says what callers say, what the agent can do, and how it replies.

In: a YAML file (`scenarios/cafe.yaml` is the example, its head explains the notation).
Out: a typed, checked `Scenario` that can say a caller's turn, phrase a reply, and read a
reply back into slots. Every mistake in the file is one sentence with its line. Knows
nothing of dialogues, voices or audio.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr

from antiphon.corpus import digits as spoken_digits
from antiphon.corpus import grammar
from antiphon.corpus.calls import Call, CallVocabulary, Tool
from antiphon.corpus.delivery import STYLES
from antiphon.corpus.floor import Floor
from antiphon.corpus.grammar import Choice, GrammarError, Node, Slots, Spoken
from antiphon.corpus.located_yaml import (
    Located,
    as_list,
    as_mapping,
    at_index,
    read_located,
    validate_located,
)
from antiphon.corpus.reply_reader import ReplyReader
from antiphon.errors import ScenarioError

SAID, HELD, FACT = "said", "held", "fact."  # what replies may name beside slots
_MOST_DIGITS = 32
_FLOOR_SEED, _FLOOR_TURNS = 1, 6000


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


def _to_node(value: Any) -> Any:
    """A template, or a list of templates each as likely as the others."""
    if isinstance(value, str):
        return grammar.parse(value)
    entries = as_list(value)
    if not entries:
        raise ValueError("a template is text, or a list of texts")
    nodes: list[Node] = []
    for index, entry in enumerate(entries):
        if not isinstance(entry, str):
            raise at_index(index, "a template is text; put quotes around it")
        try:
            nodes.append(grammar.parse(entry))
        except GrammarError as problem:
            raise at_index(index, str(problem)) from None
    return Choice(tuple(nodes), (1.0,) * len(nodes))


Template = Annotated[Any, BeforeValidator(_to_node)]


class SlotValue(_Part):
    """One value of a slot: how often, and how callers say it."""

    value: str
    weight: float
    say: Any  # Node


class SlotSpec(_Part):
    """What a slot may hold: a list of values, or digits of a number of lengths.

    `of` names the slot that this one qualifies (an amount, of milk): it is dropped when the
    other is changed without it.
    """

    values: tuple[SlotValue, ...] = ()
    digits: tuple[int, int] | None = None
    of: str | None = None


def to_slot(value: Any) -> Any:
    """A slot as the file writes it, as the fields of a SlotSpec. Raises ValueError."""
    spec = as_mapping(value if as_list(value) is None else {"values": value})
    if spec is None:
        raise ValueError("a slot is a list of values, or {values, of}, or {digits: [4, 8]}")
    if "digits" in spec:
        span = as_list(spec["digits"]) or []
        if len(span) != 2 or not all(type(n) is int for n in span) or not 1 <= span[0] <= span[1]:
            raise ValueError("digits wants [shortest, longest], from 1 to 32")
        if span[1] > _MOST_DIGITS:
            raise ValueError(f"digits can be at most {_MOST_DIGITS}")
        return spec
    values: list[SlotValue] = []
    for index, entry in enumerate(as_list(spec.get("values")) or ()):
        try:
            values.append(_to_value(entry))
        except ValueError as problem:
            raise at_index(index, str(problem)) from None
    if not values:
        raise ValueError("a slot needs at least one value")
    names = [entry.value for entry in values]
    if len(set(names)) != len(names):
        raise ValueError("a slot has the same value twice")
    return {**spec, "values": values}


def _to_value(entry: Any) -> SlotValue:
    say: Any = None
    pair = as_mapping(entry)
    if pair is not None and len(pair) == 1:
        ((entry, say),) = pair.items()
    if not isinstance(entry, str):
        raise ValueError(f"{entry!r} is not a value; write text, with quotes if need be")
    value, star, weight = (part.strip() for part in entry.partition("*"))
    if not value or not all(isinstance(n, grammar.Text) for n in _leaves(grammar.parse(value))):
        raise ValueError(f"the value {value!r} must be plain words")
    if star and not re.fullmatch(r"\d*\.?\d+", weight):
        raise ValueError(f"{entry!r}: the weight after * is not a number")
    node = grammar.parse(value) if say is None else _to_node(say)
    return SlotValue(value=value, weight=float(weight or 1), say=node)


def _leaves(node: Node) -> list[Node]:
    return [n for n in grammar.walk(node) if not isinstance(n, grammar.Sequence_)]


class ObjectSpec(_Part):
    """The thing a caller asks for, several of which may be in one turn (a drink, a visit).

    say: rules that each open one object where they are used. reply: how the agent says one.
    """

    say: Mapping[str, Template] = {}
    reply: Template


class FactSpec(_Part):
    """A table from slot values to words: rows of `*` or `value | value` for each slot in `by`."""

    by: tuple[str, ...] = ()
    rows: Mapping[str, Any]

    def row(self, slots: Mapping[str, str | None]) -> Node | None:
        """The first row whose key fits: by = [drink, size] looks at rows[drink][size]."""
        rows: Any = self.rows
        for slot in self.by:
            for key, row in rows.items():
                names = [part.strip() for part in str(key).split("|")]
                if slots.get(slot) in names or "*" in names:
                    rows = row
                    break
            else:
                return None
        return rows if self.by else rows.get("*")


def _ordered(span: tuple[float, ...]) -> tuple[float, ...]:
    if list(span) != sorted(span) or span[0] < 0:
        raise ValueError("wants seconds from the shortest to the longest")
    return span


class IntentSpec(_Part):
    """What a caller may want, and what the agent then does and says.

    weight: how often, while nothing is held and while something is.
    place: `first` and `last` stand only at the ends of a dialogue.
    call: the tool to call. effect: what the turn does to what is held.
    reply / reply_empty: templates by tone; the latter where nothing is held.
    wait: [shortest, likeliest, longest] seconds before the reply, where they are not those of
    other replies.
    """

    say: Template
    weight: Mapping[Literal["empty", "held"], float]
    place: Literal["first", "last", "any"] = "any"
    call: str | None = None
    effect: Literal["add", "change", "clear", "none"] = "none"
    reply: Mapping[str, Template] = {}
    reply_empty: Mapping[str, Template] = {}
    wait: Annotated[tuple[float, float, float], AfterValidator(_ordered)] | None = None


def _to_intent(value: Any) -> Any:
    mapping = as_mapping(value)
    if mapping is None:
        raise ValueError("an intent has at least `say` and `weight`")
    spec = dict(mapping)
    if isinstance(spec.get("weight"), int | float):
        spec["weight"] = {"empty": spec["weight"], "held": spec["weight"]}
    for key in ("reply", "reply_empty"):
        if isinstance(spec.get(key), str | list):
            spec[key] = {"neutral": spec[key]}
    return spec


def _odds(odds: tuple[float, ...]) -> tuple[float, ...]:
    if not odds or min(odds) < 0 or not sum(odds) > 0:
        raise ValueError("wants odds of 1, 2, 3 ... exchanges, not all 0")
    return odds


Span = Annotated[tuple[float, float], AfterValidator(_ordered)]
Share = Annotated[float, Field(ge=0, le=1)]


class BesideSpec(_Part):
    """What is said without wanting the floor: by callers and the agent while the other speaks
    (backchannels), and by callers to somebody else in the room."""

    caller: Template
    agent: Template
    side_talk: Template | None = None


class SilenceSpec(_Part):
    """What the agent says where nobody speaks: once a question, then the end of the call."""

    prompt: Template
    goodbye: Template


def _tones(tones: Mapping[str, float]) -> Mapping[str, float]:
    if any(share < 0 for share in tones.values()) or not sum(tones.values()) > 0:
        raise ValueError("wants odds by tone, not all 0")
    return tones


def _styles(styles: Mapping[str, str]) -> Mapping[str, str]:
    for style in styles.values():
        if style not in STYLES:
            raise ValueError(f'"{style}" is no style; the styles are {", ".join(STYLES)}')
    return styles


class DialogueShape(_Part):
    """How dialogues run; times in seconds, spans are [shortest, longest].

    exchanges: odds of 1, 2, 3 ... exchanges. agent_gap, open_gap: [shortest, likeliest, longest],
    before the answer to words after which callers always stop, and after which they always go on:
    the more often callers go on after these words, the longer the agent waits (`corpus/floor.py`).
    """

    exchanges: Annotated[tuple[float, ...], AfterValidator(_odds)] = (0.5, 0.2, 0.14, 0.1, 0.06)
    longest_recital: int = 3  # more objects than this are not read back
    first_gap: Span = (0.1, 1.5)
    agent_gap: Annotated[tuple[float, float, float], AfterValidator(_ordered)] = (0.24, 0.30, 0.40)
    open_gap: Annotated[tuple[float, float, float], AfterValidator(_ordered)] = (0.24, 0.30, 0.40)
    missed: Share = 0.0  # share of the agent's replies that come late, as if it had missed its
    missed_gap: Span = (0.9, 1.7)  # moment; half of them after a backchannel
    caller_gap: Span = (0.4, 2.0)
    tail: Span = (0.3, 3.5)
    silent: Share = 0.04  # share of dialogues without a word
    silent_length: Span = (2.0, 5.0)
    silent_short: Share = 0.5  # share of them that end before the agent would ask
    patience: Span = (5.5, 6.5)  # of the agent's with a caller who says nothing
    long_silence: Share = 0.12  # share of dialogues with one more silence of this length
    long_silence_length: Span = (2.0, 4.0)
    pause: Share = 0.10  # share of caller's turns with a pause inside
    pause_length: Span = (0.2, 0.6)
    long_pause: Share = 0.05
    long_pause_length: Span = (0.6, 1.6)
    fillers: tuple[str, ...] = ("um", "uh")
    filled: Share = 0.5  # share of pauses that begin with a filler
    long_turn: int = 16  # words; a caller takes a breath at every comma of a longer turn
    breath: Span = (0.3, 0.8)
    room: float = 0.4  # a pause of a long turn in which there is room for a backchannel
    agent_backchannel: Share = 0.0  # share of these pauses in which the agent gives one
    barge_in: Share = 0.0  # share of the caller's turns that begin while the agent speaks
    barge_in_short: Share | None = None  # the same, of turns of up to `short_turn` words
    short_turn: int = 4
    yields: Span = (0.24, 0.4)  # what the agent still says then
    late: Share = 0.0  # share of these in which it notices later, and says this much:
    late_yields: Span = (0.4, 1.2)
    beside: Share = 0.0  # share of the agent's turns during which the caller says something
    tones: Annotated[Mapping[str, float], AfterValidator(_tones)] = {"neutral": 1.0}
    styles: Annotated[Mapping[str, str], AfterValidator(_styles)] = {}
    """Caller's tone -> style of the agent's voice (`corpus/delivery.py`), where not neutral."""
    leaning: Share = 0.0  # how far the agent's tempo goes towards the caller's
    usual_tempo: Annotated[float, Field(gt=0)] = 5.2  # of most callers, syllables a second
    directed: Share = 0.0  # share of dialogues whose style and speed are given, whatever the tone


class Scenario(_Part):
    """A checked scenario. Build it with `load_scenario`."""

    name: str
    description: str = ""
    slots: Mapping[str, Annotated[SlotSpec, BeforeValidator(to_slot)]]
    rules: Mapping[str, Template] = {}
    object: ObjectSpec | None = None
    facts: Mapping[str, FactSpec] = {}
    tools: tuple[Tool, ...] = ()
    intents: Mapping[str, Annotated[IntentSpec, BeforeValidator(_to_intent)]]
    manifest: Mapping[str, Template] = {}
    beside: BesideSpec | None = None
    silence: SilenceSpec | None = None
    dialogue: DialogueShape = Field(default_factory=DialogueShape)
    guard: Mapping[str, Any] | None = None
    """What may be said and called on this line; `antiphon.guard.config` reads it."""

    _speaker: grammar.Speaker | None = PrivateAttr(None)
    _reader: ReplyReader | None = PrivateAttr(None)
    _vocabulary: CallVocabulary | None = PrivateAttr(None)
    _reciting: frozenset[str] | None = PrivateAttr(None)
    _floor: Floor | None = PrivateAttr(None)

    @property
    def all_rules(self) -> dict[str, Node]:
        """The rules, and those that open an object."""
        return {**self.rules, **(self.object.say if self.object else {})}

    @property
    def floor(self) -> Floor:
        """How often callers go on after which words."""
        if self._floor is None:
            rng = random.Random(_FLOOR_SEED)
            names = list(self.intents)
            odds = [sum(self.intents[name].weight.values()) for name in names]
            drawn = rng.choices(names, odds, k=_FLOOR_TURNS)
            self._floor = Floor.of(grammar.join(self.say(name, rng).tokens) for name in drawn)
        return self._floor

    def reads_back(self, intent: str) -> bool:
        """Whether the reply to this intent recites all that is held."""
        if self._reciting is None:
            self._reciting = frozenset(
                name
                for name, spec in self.intents.items()
                for node in spec.reply.values()
                for part in grammar.with_rules(node, self.rules)
                if isinstance(part, grammar.SlotRef) and part.name == HELD
            )
        return intent in self._reciting

    @property
    def reply_reader(self) -> ReplyReader:
        """Reads replies back into slots (compiled once)."""
        if self._reader is None:
            self._reader = ReplyReader(
                self.object.reply if self.object else None,
                {name: [v.value for v in slot.values] for name, slot in self.slots.items()},
                self.rules,
            )
        return self._reader

    @property
    def call_vocabulary(self) -> CallVocabulary:
        """The call tokens of this scenario's tools (built once)."""
        if self._vocabulary is None:
            self._vocabulary = CallVocabulary.from_tools(self.tools)
        return self._vocabulary

    # -- callers ---------------------------------------------------------------

    def say(self, intent: str, rng: random.Random) -> Spoken:
        """One way in which a caller says this, with the slots it fills."""
        if self._speaker is None:
            self._speaker = grammar.Speaker(
                self.all_rules,
                self._sample_slot,
                self.merge,
                frozenset(self.object.say if self.object else ()),
            )
        return self._speaker.say(self.intents[intent].say, rng)

    def _sample_slot(self, name: str, rng: random.Random) -> tuple[str, list[str]]:
        slot = self.slots[name]
        if slot.digits is not None:
            value = spoken_digits.sample(rng, *slot.digits)
            return value, spoken_digits.say_as_caller(value, rng)
        choice = rng.choices(slot.values, [value.weight for value in slot.values])[0]
        said = grammar.render(choice.say, {}, {}, rng)
        return choice.value, said or []

    def merge(self, slots: Slots, changes: Slots) -> None:
        """Put changes into slots, in place; a qualifier goes when its noun changes."""
        for name in [n for n in slots if self.slots[n].of in changes and n not in changes]:
            # An amount is said before its noun, so a noun that was not there yet keeps it.
            if self.slots[name].of in slots:
                del slots[name]
        slots.update(changes)

    # -- the agent -------------------------------------------------------------

    def call(self, intent: str, slots: Slots, items: Sequence[Slots]) -> Call | None:
        """The call that this intent makes: slots by name, and the items where it takes a list."""
        name = self.intents[intent].call
        if name is None:
            return None
        tool = next(tool for tool in self.tools if tool.name == name)
        arguments: dict[str, Any] = {}
        for key, schema in tool.parameters.get("properties", {}).items():
            if schema.get("type") == "array":
                arguments[key] = [_in_order(item, schema["items"]["properties"]) for item in items]
            elif key in slots:
                arguments[key] = slots[key]
        return Call(name=name, arguments=arguments)

    def phrase(self, items: Sequence[Slots]) -> list[str]:
        """Items as the agent says them: tokens of "a large latte, and a mocha"."""
        tokens: list[str] = []
        for index, item in enumerate(items):
            said = grammar.render(self.object.reply, item, self.rules, None) if self.object else []
            tokens += ([",", "and"] if index else []) + (said or [])
        return tokens

    def reply(
        self,
        intent: str,
        slots: Slots,
        items: Sequence[Slots],
        held: Sequence[Slots],
        rng: random.Random,
        tone: str = "neutral",
    ) -> str | None:
        """What the agent says to this turn, `held` as it is after the turn; None for silence."""
        spec = self.intents[intent]
        if not spec.reply:
            return None
        values = {name: self._value_words(name, value) for name, value in slots.items()}
        said = self.phrase(items or ([slots] if slots else []))
        values[SAID] = " ".join(said)
        values[HELD] = " ".join(self.phrase(held))
        for name, fact in self.facts.items():
            found = fact.row(slots)
            if found is not None:
                values[FACT + name] = " ".join(grammar.render(found, {}, self.rules, rng) or [])
        values = {name: words for name, words in values.items() if words}
        node = spec.reply.get(tone, spec.reply["neutral"])
        tokens = grammar.render(node, values, self.rules, rng)
        if tokens is None:
            raise ScenarioError(f"{self.name}: no reply to {intent!r} fits the slots {slots}")
        return grammar.join(tokens)

    def reply_to_nothing(self, intent: str, rng: random.Random, tone: str = "neutral") -> str:
        """What the agent says where the turn needs something held and nothing is."""
        templates = self.intents[intent].reply_empty
        node = templates.get(tone, templates["neutral"])
        return grammar.join(grammar.render(node, {}, self.rules, rng) or [])

    def phrase_of(self, template: Node, rng: random.Random) -> str:
        """A template of this scenario that holds no slots, as a text."""
        return grammar.join(grammar.render(template, {}, self.rules, rng) or [])

    def _value_words(self, name: str, value: str) -> str:
        return " ".join(spoken_digits.say_as_agent(value)) if self.slots[name].digits else value

    # -- reading back ----------------------------------------------------------

    def parse_reply_slots(self, text: str) -> list[Slots]:
        """The items in a spoken or written confirmation; punctuation may be missing."""
        return self.reply_reader.items(text)

    def parse_reply_digits(self, text: str) -> str:
        """The longest run of spoken digits in a reply, as digits; "" where there is none."""
        return self.reply_reader.digits(text)

    def reply_agrees(self, call: Call, text: str) -> bool:
        """Whether a reply confirms exactly what the call does, slot for slot."""
        lists = [items for v in call.arguments.values() if (items := as_list(v)) is not None]
        scalars = {k: v for k, v in call.arguments.items() if not isinstance(v, list)}
        numbers = [v for k, v in scalars.items() if k in self.slots and self.slots[k].digits]
        if numbers:
            return self.parse_reply_digits(text) == numbers[0]
        expected = lists[0] if lists else ([scalars] if scalars else [])
        return self.parse_reply_slots(text) == expected

    def manifest_slots(self, item: Mapping[str, str]) -> dict[str, str]:
        """An item's slots under the names and phrases of an outside benchmark."""
        out: dict[str, str] = {}
        for name, node in self.manifest.items():
            said = grammar.render(node, item, self.rules, None)
            if said:
                out[name] = grammar.join(said)
        return out


def _in_order(item: Slots, properties: Mapping[str, Any]) -> Slots:
    return {name: item[name] for name in properties if name in item}


def load_scenario(path: str | Path) -> Scenario:
    """Read and check a scenario file.

    Raises ScenarioError "file:line: what is wrong" for an unknown key, slot, rule, fact or
    tool, an intent that can never come up, a tool without a schema, or a broken template.
    """
    # Checking needs the models of this file.
    from antiphon.corpus.scenario_checks import check, expand_tools, parse_facts

    located = read_located(path, ScenarioError)
    value = as_mapping(located.value)
    if value is None:
        raise ScenarioError(f"{located.at(())}: a scenario is a mapping with `intents` and `slots`")
    located = Located(located.file, dict(value), located.lines)
    expand_tools(located)
    parse_facts(located)
    scenario = validate_located(located, Scenario, ScenarioError)
    check(scenario, located)
    return scenario
