"""Tool calls as tokens: one token a network frame, constrained to the JSON schemas.

In: tools with JSON schemas. Out: a vocabulary, an encoder, and a decoder that at every step
knows which tokens are legal, so that what it returns always satisfies its schema.
Properties stand in the order of the schema, which is the order in which replies speak them.
Knows nothing of scenarios, audio or networks.

    place_order({"items": [{"size": "large", "drink": "latte"}, {"drink": "mocha"}]})
    -> place_order  size=large  drink=latte  <item>  drink=mocha  <end>

Supported in a schema: an object whose properties are strings with `enum`, booleans, integers
with `minimum` and `maximum` (at most 64 values), one string of digits (`pattern`
^[0-9]{m,n}$), and one array of objects of such properties.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from jsonschema import Draft202012Validator
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from antiphon.errors import ScenarioError

PAD, END, ITEM = 0, 1, 2
_DIGITS = re.compile(r"^\^(?:\[0-9\]|\\d)\{(\d+)(?:,(\d+))?\}\$$")
_MOST_INTEGERS = 64
_MOST_ITEMS = 8  # where a schema gives no maxItems: a decoder must end


class Call(BaseModel):
    """A tool call: the tool's name and its arguments, JSON values."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    arguments: dict[str, Any] = {}


class Tool(BaseModel):
    """What an agent can do: a name, a sentence, and the JSON schema of its arguments."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    description: str = ""
    parameters: dict[str, Any]


def schema_error(name: str, arguments: Mapping[str, Any], tools: Iterable[Tool]) -> str:
    """What is wrong with a call by its tool's JSON schema, in a sentence; "" if nothing is."""
    tool = next((tool for tool in tools if tool.name == name), None)
    if tool is None:
        return f"It called {name}, which is no tool."
    validator: Any = Draft202012Validator(tool.parameters)
    wrong = next(iter(validator.iter_errors(dict(arguments))), None)
    return "" if wrong is None else f"Its call of {name} breaks the schema: {wrong.message}."


def slot_values(arguments: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(slot, value) of everything that a call's arguments, or an item, put down."""
    for name, value in arguments.items():
        if isinstance(value, list):
            for item in cast("list[Any]", value):
                if isinstance(item, dict):
                    yield from slot_values(cast("dict[str, Any]", item))
        else:
            yield name, str(value)


@dataclass(frozen=True, slots=True)
class _Property:
    name: str
    required: bool
    tokens: tuple[int, ...] = ()  # scalars: one token a value; digit strings: the ten digits
    values: tuple[str | bool | int, ...] = ()
    digits: tuple[int, int] | None = None  # shortest, longest
    fields: tuple[_Property, ...] = ()  # array of objects
    items: tuple[int, int] = (0, 0)  # fewest, most objects
    least_fields: int = 1  # an object with nothing in it has no tokens


@dataclass(frozen=True, slots=True)
class _Plan:
    name: str
    token: int
    properties: tuple[_Property, ...]
    least: int  # minProperties


class CallVocabulary:
    """The tokens of a set of tools. Build it with `from_tools`; `labels[i]` names token i."""

    def __init__(self, tools: tuple[Tool, ...]) -> None:
        """Raises ScenarioError where a schema uses something that has no tokens."""
        self.tools = tools
        self.labels: list[str] = ["<pad>", "<end>", "<item>"]
        self._ids: dict[str, int] = {}
        self._masks: dict[_State | None, NDArray[np.bool_]] = {}
        names = [self._token(tool.name) for tool in tools]
        if len(set(names)) != len(names):
            raise ScenarioError("two tools have the same name; every tool needs its own")
        self._plans = {
            token: self._plan(tool, token) for tool, token in zip(tools, names, strict=True)
        }

    @classmethod
    def from_tools(cls, tools: Iterable[Tool | Mapping[str, Any]]) -> CallVocabulary:
        """From tools or their JSON objects ({"name", "description", "parameters"})."""
        return cls(tuple(t if isinstance(t, Tool) else Tool.model_validate(t) for t in tools))

    def to_json(self) -> list[dict[str, Any]]:
        """The tools as JSON objects; `from_tools` gives the same vocabulary back."""
        return [tool.model_dump() for tool in self.tools]

    def __len__(self) -> int:
        return len(self.labels)

    def encode(self, call: Call) -> list[int]:
        """The call's tokens, <end> included. Raises ScenarioError for a call with no tokens."""
        plan = self._plans.get(self._ids.get(call.name, -1))
        if plan is None:
            raise ScenarioError(f"there is no tool {call.name!r}; there is {self._names()}")
        ids = [plan.token, *_encode_fields(call.name, plan.properties, call.arguments), END]
        if self._run(ids) != [
            Call(name=call.name, arguments=_ordered(plan.properties, call.arguments))
        ]:
            raise ScenarioError(f"the call {call.name}({call.arguments}) breaks its schema")
        return ids

    def decode(self, ids: Sequence[int]) -> Call:
        """The one call in these tokens; <pad> around it is ignored.

        Raises ScenarioError where the tokens are not exactly one whole, legal call.
        """
        calls = self._run(ids)
        if calls is None or len(calls) != 1:
            raise ScenarioError(f"these tokens are not one whole call: {list(ids)}")
        return calls[0]

    def decoder(self) -> CallDecoder:
        """A decoder at rest."""
        return CallDecoder(self)

    def _run(self, ids: Sequence[int]) -> list[Call] | None:
        decoder = CallDecoder(self)
        calls: list[Call] = []
        for token in ids:
            if not 0 <= token < len(self) or not decoder.mask()[token]:
                return None
            call = decoder.push(token)
            if call is not None:
                calls.append(call)
        return None if decoder.open else calls

    def _names(self) -> str:
        return ", ".join(tool.name for tool in self.tools)

    def _token(self, label: str) -> int:
        """The id of a label; the same property and value share one token in all tools."""
        if label not in self._ids:
            self._ids[label] = len(self.labels)
            self.labels.append(label)
        return self._ids[label]

    def _plan(self, tool: Tool, token: int) -> _Plan:
        properties = self._fields(tool.name, tool.parameters, nested=False)
        if (
            sum(p.digits is not None for p in properties) > 1
            or sum(bool(p.fields) for p in properties) > 1
        ):
            raise ScenarioError(
                f"tool {tool.name!r}: at most one string of digits and one array of objects"
            )
        scalars = [t for p in properties for t in p.tokens]
        scalars += [t for p in properties for f in p.fields for t in f.tokens]
        if len(set(scalars)) != len(scalars):
            raise ScenarioError(
                f"tool {tool.name!r}: a property has the same name and values inside an array "
                "and outside of it; rename one"
            )
        least = _count(tool.name, tool.parameters, "minProperties", 0)
        return _Plan(tool.name, token, properties, least)

    def _fields(self, where: str, schema: Mapping[str, Any], nested: bool) -> tuple[_Property, ...]:
        if schema.get("type") != "object":
            raise ScenarioError(f"tool {where!r}: its parameters are not a schema of an object")
        names = schema.get("required", [])
        entries = schema.get("properties", {})
        if not isinstance(names, list | tuple) or not isinstance(entries, dict):
            raise ScenarioError(f"tool {where!r}: `required` is a list, `properties` a mapping")
        required = {str(name) for name in cast("list[Any]", names)}
        entries = cast("dict[str, Any]", entries)
        missing = sorted(required - set(entries))
        if missing:
            raise ScenarioError(f"tool {where!r}: requires {missing[0]!r}, which it does not have")
        return tuple(
            self._property(f"{where}.{name}", name, entry, name in required, nested)
            for name, entry in entries.items()
        )

    def _property(
        self, where: str, name: str, schema: Any, required: bool, nested: bool
    ) -> _Property:
        schema = cast("dict[str, Any]", schema) if isinstance(schema, dict) else {}
        kind = schema.get("type")
        values = _values(schema)
        if values:
            tokens = tuple(self._token(f"{name}={value}") for value in values)
            return _Property(name, required, tokens, values)
        found = _DIGITS.match(str(schema.get("pattern", "")))
        if kind == "string" and found and not nested:
            least, most = int(found[1]), int(found[2] or found[1])
            tokens = tuple(self._token(f"digit {digit}") for digit in range(10))
            return _Property(name, required, tokens, digits=(max(least, 1), most))
        if kind == "array" and not nested:
            inner = schema.get("items")
            inner = cast("dict[str, Any]", inner) if isinstance(inner, dict) else {}
            fields = self._fields(where, inner, nested=True)
            fewest = max(_count(where, schema, "minItems", 1), 1)
            most = _count(where, schema, "maxItems", _MOST_ITEMS)
            least = max(_count(where, inner, "minProperties", 1), 1)
            if not fields or most < fewest or least > len(fields):
                raise ScenarioError(f"tool {where!r}: no list can satisfy this schema")
            return _Property(
                name, required, fields=fields, items=(fewest, most), least_fields=least
            )
        raise ScenarioError(
            f"tool {where!r} has no call tokens: use a string with enum, a boolean, a small "
            "integer range, one string of digits (pattern ^[0-9]{m,n}$) or one array of objects"
        )

    def plan(self, token: int) -> _Plan:
        """The compiled schema of the tool with this token (for CallDecoder)."""
        return self._plans[token]

    def legal(self, state: _State | None) -> NDArray[np.bool_]:
        """bool [V]: the tokens that may follow in this state (for CallDecoder)."""
        if state not in self._masks:
            mask = np.zeros(len(self), np.bool_)
            mask[list(_following(self._plans, state))] = True
            mask.flags.writeable = False
            self._masks[state] = mask
        return self._masks[state]


def _values(schema: Mapping[str, Any]) -> tuple[str | bool | int, ...]:
    """The values of a scalar that can be told apart by one token; () where there are none."""
    kind = schema.get("type")
    enum = schema.get("enum")
    if isinstance(enum, list | tuple):
        values = cast("Sequence[Any]", enum)
        return tuple(values) if all(isinstance(v, str | int) for v in values) else ()
    if kind == "boolean":
        return (False, True)
    low, high = schema.get("minimum"), schema.get("maximum")
    if kind == "integer" and isinstance(low, int) and isinstance(high, int):
        return tuple(range(low, high + 1)) if high - low < _MOST_INTEGERS else ()
    return ()


def _count(where: str, schema: Mapping[str, Any], key: str, default: int) -> int:
    value = schema.get(key, default)
    if not isinstance(value, int) or value < 0:
        raise ScenarioError(f"tool {where!r}: {key} is not a whole number")
    return value


def _encode_fields(
    where: str, properties: tuple[_Property, ...], values: Mapping[str, Any]
) -> list[int]:
    unknown = set(values) - {p.name for p in properties}
    if unknown:
        raise ScenarioError(f"{where} has no argument {sorted(unknown)[0]!r}")
    ids: list[int] = []
    for prop in properties:
        if prop.name not in values:
            continue
        value = values[prop.name]
        if prop.fields:
            for index, item in enumerate(value):
                ids += [ITEM] if index else []
                ids += _encode_fields(f"{where}.{prop.name}", prop.fields, item)
        elif prop.digits:
            if not re.fullmatch(r"[0-9]+", str(value)):
                raise ScenarioError(f"{where}.{prop.name} wants digits, not {value!r}")
            ids += [prop.tokens[int(digit)] for digit in str(value)]
        elif value in prop.values:
            ids.append(prop.tokens[prop.values.index(value)])
        else:
            raise ScenarioError(f"{where}.{prop.name} cannot be {value!r}")
    return ids


def _ordered(properties: tuple[_Property, ...], values: Mapping[str, Any]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for prop in properties:
        if prop.name in values:
            value = values[prop.name]
            out[prop.name] = [_ordered(prop.fields, v) for v in value] if prop.fields else value
    return out


@dataclass(frozen=True, slots=True)
class _State:
    """Where in an open call we are; equal states have equal masks."""

    tool: int  # token
    index: int = -1  # the last top-level property that was begun
    count: int = 0  # properties so far (enough to compare with minProperties)
    digits: int = 0
    items: int = 0
    field: int = -1  # the last property of the open object
    fields: int = 0  # properties in the open object; 0 after <item>: something must follow


def _open_fields(properties: tuple[_Property, ...], after: int) -> tuple[list[int], bool]:
    """Indices that may come next, and whether nothing more is required."""
    nexts: list[int] = []
    for index in range(after + 1, len(properties)):
        nexts.append(index)
        if properties[index].required:
            return nexts, False
    return nexts, True


def _following(plans: Mapping[int, _Plan], state: _State | None) -> set[int]:
    if state is None:
        return {PAD, *plans}
    plan = plans[state.tool]
    tokens: set[int] = set()
    if state.index >= 0:
        prop = plan.properties[state.index]
        if prop.digits:
            tokens |= set(prop.tokens) if state.digits < prop.digits[1] else set[int]()
            if state.digits < prop.digits[0]:
                return tokens
        if prop.fields:
            nexts, complete = _open_fields(prop.fields, state.field)
            for index in nexts:
                tokens |= set(prop.fields[index].tokens)
            if not complete or state.fields < prop.least_fields:
                return tokens
            if state.items < prop.items[1]:
                tokens.add(ITEM)
            if state.items < prop.items[0]:
                return tokens
    nexts, complete = _open_fields(plan.properties, state.index)
    for index in nexts:
        prop = plan.properties[index]
        if prop.fields:
            for inner in _open_fields(prop.fields, -1)[0]:
                tokens |= set(prop.fields[inner].tokens)
        else:
            tokens |= set(prop.tokens)
    if complete and state.count >= plan.least:
        tokens.add(END)
    return tokens


class CallDecoder:
    """Reads calls token by token; `mask` says what is legal, `push` moves on.

    Outside a call <pad> and the tools' names are legal; inside, <pad> is not.
    """

    def __init__(self, vocabulary: CallVocabulary) -> None:
        self._vocabulary = vocabulary
        self._state: _State | None = None
        self._arguments: dict[str, Any] = {}

    @property
    def open(self) -> bool:
        """Whether a call has begun and not ended."""
        return self._state is not None

    def reset(self) -> None:
        """Forget an open call."""
        self._state = None
        self._arguments = {}

    def mask(self) -> NDArray[np.bool_]:
        """bool [V], read-only: the tokens that may come next."""
        return self._vocabulary.legal(self._state)

    def push(self, token: int) -> Call | None:
        """Take a token; the finished call at its <end>. Raises ScenarioError if not legal."""
        if not 0 <= token < len(self._vocabulary) or not self.mask()[token]:
            raise ScenarioError(f"call token {token} is not legal here; choose by mask()")
        state = self._state
        if state is None:
            if token != PAD:
                self._state = _State(token)
                self._arguments = {}
            return None
        plan = self._vocabulary.plan(state.tool)
        if token == END:
            call = Call(name=plan.name, arguments=self._arguments)
            self.reset()
            return call
        self._state = self._advance(plan, state, token)
        return None

    def _advance(self, plan: _Plan, state: _State, token: int) -> _State:
        here = plan.properties[state.index] if state.index >= 0 else None
        if here is not None and here.fields:
            if token == ITEM:
                cast("list[dict[str, Any]]", self._arguments[here.name]).append({})
                return _State(state.tool, state.index, state.count, 0, state.items + 1)
            inner = _find(here.fields, token)
            if inner is not None:
                return self._fill(here, state, inner, token)
        if here is not None and here.digits and token in here.tokens:
            self._arguments[here.name] += str(here.tokens.index(token))
            return _State(state.tool, state.index, state.count, state.digits + 1)
        count = self._counted(plan, state.count + 1)
        for index in range(state.index + 1, len(plan.properties)):
            prop = plan.properties[index]
            inner = _find(prop.fields, token)
            if inner is not None:
                self._arguments[prop.name] = [{}]
                return self._fill(prop, _State(state.tool, index, count, 0, 1), inner, token)
            if token in prop.tokens:
                at = prop.tokens.index(token)
                self._arguments[prop.name] = str(at) if prop.digits else prop.values[at]
                return _State(state.tool, index, count, 1 if prop.digits else 0)
        raise AssertionError("a legal token belongs to some property")

    def _fill(self, prop: _Property, state: _State, inner: int, token: int) -> _State:
        item = cast("list[dict[str, Any]]", self._arguments[prop.name])[-1]
        item[prop.fields[inner].name] = prop.fields[inner].values[
            prop.fields[inner].tokens.index(token)
        ]
        fields = min(state.fields + 1, prop.least_fields)
        return _State(state.tool, state.index, state.count, 0, state.items, inner, fields)

    @staticmethod
    def _counted(plan: _Plan, count: int) -> int:
        """Beyond what the schema asks for, counting further would only multiply states."""
        return min(count, max(plan.least, 1))


def _find(properties: tuple[_Property, ...], token: int) -> int | None:
    return next((i for i, prop in enumerate(properties) if token in prop.tokens), None)
