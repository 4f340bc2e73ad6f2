"""The small grammar that scenarios are written in: parse a template, say it, render it.

    words                literal words, lower case, no digits; , . ? ! are prosody
    (a | b *3 | )        one of these; *3 makes one three times as likely; empty is allowed
    (a & b & c)          all of these, in any order
    [a]  [a]%30          a or nothing: half of the time, or 30 % of the time
    {slot}               a value of the slot, in one of its spoken variants
    {slot=value}         sets the slot without a word
    <rule>               another template, by name
    @a                   "a" or "an", as the next word wants
    _                    a place where a caller may hesitate

`say` draws from a template as a caller does and reports which slots it filled.
`render` fills a template with given values as the agent does: of alternatives it takes
those whose slots are known, and an optional part that names a slot is spoken exactly when
that slot is known. `to_regex` reads a rendered text back. Knows nothing of intents or calls.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

Slots = dict[str, str]


class GrammarError(ValueError):
    """A template cannot be parsed, or refers to something that does not exist."""


@dataclass(frozen=True, slots=True)
class Text:
    word: str


@dataclass(frozen=True, slots=True)
class SlotRef:
    name: str
    value: str | None = None  # {slot=value}: set without a word


@dataclass(frozen=True, slots=True)
class RuleRef:
    name: str


@dataclass(frozen=True, slots=True)
class Place:
    """A place where a caller may hesitate."""


@dataclass(frozen=True, slots=True)
class Sequence_:
    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    options: tuple[Node, ...]
    weights: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Shuffle:
    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Maybe:
    node: Node
    probability: float | None  # None: not written; .5 where chance decides


Node = Text | SlotRef | RuleRef | Place | Sequence_ | Choice | Shuffle | Maybe

_TOKEN = re.compile(
    r"\s*(?:(?P<slot>\{[^{}]*\})|(?P<rule><[^<>]*>)|(?P<close>\](?:%(?P<percent>\d+))?)"
    r"|(?P<weight>\*\d*\.?\d+)|(?P<article>@a\b)|(?P<punct>[,.?!])|(?P<op>[()\[|&_])"
    r"|(?P<word>[^\W\d_]+(?:['’-][^\W\d_]+)*'?))"
)
_PUNCTUATION = frozenset(",.?!")


def parse(template: str) -> Node:
    """The tree of a template. Raises GrammarError with a sentence about what is wrong."""
    tokens: list[tuple[str, str]] = []
    at = 0
    text = template.rstrip()
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            rest = text[at:].strip()
            hint = "write numbers as words" if rest[:1].isdigit() else "see corpus/grammar.py"
            raise GrammarError(f"cannot read {rest[:20]!r} in a template; {hint}")
        kind = found.lastgroup or ""
        kind = "close" if kind == "percent" else kind
        tokens.append((kind, found.group(0).strip()))
        at = found.end()
    node, rest = _alternatives(tokens, 0)
    if rest != len(tokens):
        raise GrammarError(f"unexpected {tokens[rest][1]!r} in a template")
    return node


def _alternatives(tokens: list[tuple[str, str]], at: int) -> tuple[Node, int]:
    options: list[Node] = []
    weights: list[float] = []
    separator = ""
    while True:
        node, at = _sequence(tokens, at)
        weight = 1.0
        if at < len(tokens) and tokens[at][0] == "weight":
            weight = float(tokens[at][1][1:])
            at += 1
        options.append(node)
        weights.append(weight)
        if at >= len(tokens) or tokens[at][1] not in ("|", "&"):
            break
        if separator and tokens[at][1] != separator:
            raise GrammarError("| and & are mixed in one group; put one of them in brackets")
        separator = tokens[at][1]
        at += 1
    if separator == "&":
        return Shuffle(tuple(options)), at
    if len(options) == 1 and not separator:
        return options[0], at
    if not sum(weights) > 0:
        raise GrammarError("all alternatives of a group have weight 0")
    return Choice(tuple(options), tuple(weights)), at


def _sequence(tokens: list[tuple[str, str]], at: int) -> tuple[Node, int]:
    parts: list[Node] = []
    while at < len(tokens):
        kind, text = tokens[at]
        if kind == "op" and text in "([":
            node, at = _alternatives(tokens, at + 1)
            if at >= len(tokens) or (tokens[at][0] == "close") != (text == "["):
                raise GrammarError(f"a {text!r} is not closed")
            if tokens[at][0] == "op" and tokens[at][1] != ")":
                raise GrammarError(f"a {text!r} is not closed")
            if text == "[":
                percent = tokens[at][1].partition("%")[2]
                node = Maybe(node, int(percent) / 100 if percent else None)
            parts.append(node)
            at += 1
        elif kind == "op" and text == "_":
            parts.append(Place())
            at += 1
        elif kind in ("op", "close", "weight"):
            break
        else:
            parts.append(_leaf(kind, text))
            at += 1
    return (parts[0] if len(parts) == 1 else Sequence_(tuple(parts))), at


def _leaf(kind: str, text: str) -> Node:
    if kind == "slot":
        name, equals, value = (part.strip() for part in text[1:-1].partition("="))
        if not name or (equals and not value):
            raise GrammarError(f"{text!r} names no slot; write {{slot}} or {{slot=value}}")
        return SlotRef(name, value if equals else None)
    if kind == "rule":
        return RuleRef(text[1:-1].strip())
    if kind == "word" and text != text.lower():
        raise GrammarError(f"{text!r} has capitals; templates are lower case")
    return Text(text)


def walk(node: Node) -> Iterator[Node]:
    """The node and everything below it, rules not followed."""
    yield node
    match node:
        case Sequence_(parts) | Shuffle(parts) | Choice(parts):
            for part in parts:
                yield from walk(part)
        case Maybe(inner):
            yield from walk(inner)
        case _:
            pass


def with_rules(node: Node, rules: Mapping[str, Node]) -> Iterator[Node]:
    """Like `walk`, following rules (each once)."""
    seen: set[str] = set()
    todo = [node]
    while todo:
        for part in walk(todo.pop()):
            yield part
            if isinstance(part, RuleRef) and part.name in rules and part.name not in seen:
                seen.add(part.name)
                todo.append(rules[part.name])


@dataclass(slots=True)
class Spoken:
    """What a caller said: tokens, where a pause would be natural, and the slots filled.

    `slots` are those outside any object; each use of an object rule adds one to `items`.
    """

    tokens: list[str] = field(default_factory=list[str])
    places: set[int] = field(default_factory=set[int])  # word indices after which to pause
    slots: Slots = field(default_factory=dict[str, str])
    items: list[Slots] = field(default_factory=list[Slots])


SlotSampler = Callable[[str, random.Random], tuple[str, list[str]]]  # -> value, spoken tokens


@dataclass(frozen=True, slots=True)
class Speaker:
    """Says templates as a caller does.

    sample_slot draws a slot's value and its words; bind adds a value to a set of slots
    (a later value replaces an earlier one); each use of an object rule opens an object.
    """

    rules: Mapping[str, Node]
    sample_slot: SlotSampler
    bind: Callable[[Slots, Slots], None]
    object_rules: frozenset[str] = frozenset()

    def say(self, node: Node, rng: random.Random) -> Spoken:
        """One drawing of the template."""
        spoken = Spoken()
        self._say(node, rng, spoken, spoken.slots)
        return spoken

    def _say(self, node: Node, rng: random.Random, out: Spoken, slots: Slots) -> None:
        match node:
            case Text(word):
                out.tokens.append(word)
            case SlotRef(name, value):
                if value is None:
                    value, tokens = self.sample_slot(name, rng)
                    out.tokens.extend(tokens)
                self.bind(slots, {name: value})
            case RuleRef(name):
                if name in self.object_rules:
                    slots = {}
                    out.items.append(slots)
                self._say(self.rules[name], rng, out, slots)
            case Place():
                out.places.add(sum(token not in _PUNCTUATION for token in out.tokens) - 1)
            case Sequence_(parts):
                for part in parts:
                    self._say(part, rng, out, slots)
            case Choice(options, weights):
                self._say(rng.choices(options, weights)[0], rng, out, slots)
            case Shuffle(parts):
                for part in rng.sample(parts, len(parts)):
                    self._say(part, rng, out, slots)
            case Maybe(inner, probability):
                if rng.random() < (0.5 if probability is None else probability):
                    self._say(inner, rng, out, slots)


def render(
    node: Node, values: Mapping[str, str], rules: Mapping[str, Node], rng: random.Random | None
) -> list[str] | None:
    """The template's tokens with these slot values; None where a slot that it needs is missing.

    With rng None the result is deterministic: the first alternative that can be said, and
    optional parts without slots always.
    """
    match node:
        case Text(word):
            return [word]
        case SlotRef(name, None):
            return values[name].split() if name in values else None
        case SlotRef() | Place():
            return []
        case RuleRef(name):
            return render(rules[name], values, rules, rng)
        case Sequence_(parts) | Shuffle(parts):
            tokens: list[str] = []
            for part in parts:
                said = render(part, values, rules, rng)
                if said is None:
                    return None
                tokens.extend(said)
            return tokens
        case Choice(options, weights):
            said = [render(option, values, rules, rng) for option in options]
            fit = [
                (tokens, weight)
                for tokens, weight in zip(said, weights, strict=True)
                if tokens is not None
            ]
            if not fit:
                return None
            return fit[0][0] if rng is None else rng.choices(*zip(*fit, strict=True))[0]
        case Maybe(inner, probability):
            named = any(isinstance(part, SlotRef) for part in with_rules(inner, rules))
            if probability is None:
                probability = 1.0 if named else 0.5
            if rng is not None and rng.random() >= probability:
                return []
            return render(inner, values, rules, rng) or []


def to_regex(node: Node, values: Mapping[str, Sequence[str]], rules: Mapping[str, Node]) -> str:
    """A pattern that reads a rendered text (words between single spaces) back into slots.

    Group names are `slot__n`. A value that begins another value ("medium", "medium roast") is
    refused where the longer one stands, so the pattern needs no punctuation to end on.
    """
    every = [value for options in values.values() for value in options]
    counter = iter(range(10_000))

    def value_pattern(value: str) -> str:
        longer = [other[len(value) :] for other in every if other.startswith(value + " ")]
        refuse = "|".join(re.escape(rest) for rest in longer)
        return re.escape(value) + (rf"(?!(?:{refuse})\b)" if longer else "")

    def build(part: Node) -> str:
        match part:
            case Text(word):
                return "" if word in _PUNCTUATION else ("an? " if word == "@a" else word + " ")
            case SlotRef(name, None):
                options = sorted(values[name], key=len, reverse=True)
                joined = "|".join(value_pattern(option) for option in options)
                return f"(?P<{name}__{next(counter)}>{joined}) "
            case SlotRef() | Place():
                return ""
            case RuleRef(name):
                return build(rules[name])
            case Sequence_(parts) | Shuffle(parts):
                return "".join(build(inner) for inner in parts)
            case Choice(options, _):
                return f"(?:{'|'.join(build(option) for option in options)})"
            case Maybe(inner, _):
                return f"(?:{build(inner)})?"

    return r"\b" + build(node)


def join(tokens: Sequence[str]) -> str:
    """Tokens as text: articles chosen, punctuation attached to the word before it."""
    words: list[str] = []
    for index, token in enumerate(tokens):
        if token in _PUNCTUATION:
            if words and words[-1][-1] not in _PUNCTUATION:
                words[-1] += token
            elif words and token in ".?!":
                words[-1] = words[-1][:-1] + token
        elif token == "@a":
            after = next((t for t in tokens[index + 1 :] if t not in _PUNCTUATION), "")
            words.append("an" if after[:1] in tuple("aeio") else "a")
        else:
            words.append(token)
    return " ".join(words).rstrip(",")


def plain(text: str) -> str:
    """Words only: lower case, punctuation gone, one space between words."""
    return " ".join(re.sub(r"[^\w' ]+", " ", text.lower()).split())
