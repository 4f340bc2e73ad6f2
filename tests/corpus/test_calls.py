"""Call tokens: every call round trips, and the decoder can only produce legal calls."""

from __future__ import annotations

import random
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon.corpus.calls import (
    END,
    ITEM,
    PAD,
    Call,
    CallVocabulary,
    Tool,
    schema_error,
    slot_values,
)
from antiphon.errors import ScenarioError

SIZES = ["small", "large"]
DRINKS = ["latte", "mocha"]
ITEM_SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["drink"],
    "properties": {
        "size": {"type": "string", "enum": SIZES},
        "drink": {"type": "string", "enum": DRINKS},
        "hot": {"type": "boolean"},
    },
}
TOOLS: list[dict[str, Any]] = [
    {
        "name": "order",
        "parameters": {
            "type": "object",
            "additionalProperties": False,
            "required": ["items"],
            "properties": {
                "items": {"type": "array", "minItems": 1, "maxItems": 3, "items": ITEM_SCHEMA},
                "cups": {"type": "integer", "minimum": 1, "maximum": 4},
            },
        },
    },
    {
        "name": "change",
        "parameters": {
            "type": "object",
            "additionalProperties": False,
            "minProperties": 1,
            "properties": {
                "size": {"type": "string", "enum": SIZES},
                "drink": {"type": "string", "enum": DRINKS},
            },
        },
    },
    {"name": "cancel", "parameters": {"type": "object", "properties": {}}},
    {
        "name": "number",
        "parameters": {
            "type": "object",
            "required": ["digits"],
            "properties": {
                "digits": {"type": "string", "pattern": "^[0-9]{2,4}$"},
                "size": {"type": "string", "enum": SIZES},
            },
        },
    },
]
VOCABULARY = CallVocabulary.from_tools(TOOLS)
SCHEMAS = {tool["name"]: tool["parameters"] for tool in TOOLS}

items = st.fixed_dictionaries(
    {"drink": st.sampled_from(DRINKS)},
    optional={"size": st.sampled_from(SIZES), "hot": st.booleans()},
)
calls = st.one_of(
    st.fixed_dictionaries(
        {"items": st.lists(items, min_size=1, max_size=3)}, optional={"cups": st.integers(1, 4)}
    ).map(lambda a: Call(name="order", arguments=a)),
    st.fixed_dictionaries(
        {},
        optional={"size": st.sampled_from(SIZES), "drink": st.sampled_from(DRINKS)},
    )
    .filter(bool)
    .map(lambda a: Call(name="change", arguments=a)),
    st.just(Call(name="cancel", arguments={})),
    st.fixed_dictionaries(
        {"digits": st.text("0123456789", min_size=2, max_size=4)},
        optional={"size": st.sampled_from(SIZES)},
    ).map(lambda a: Call(name="number", arguments=a)),
)


@given(calls)
def test_a_call_round_trips_whatever_the_order_of_its_arguments(call: Call) -> None:
    assert VOCABULARY.decode(VOCABULARY.encode(call)) == call


@given(calls, st.integers(0, 3))
def test_padding_around_a_call_is_ignored(call: Call, pads: int) -> None:
    assert VOCABULARY.decode([PAD] * pads + VOCABULARY.encode(call) + [PAD] * pads) == call


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10_000))
def test_random_legal_tokens_give_only_calls_that_satisfy_their_schema(seed: int) -> None:
    rng = random.Random(seed)
    decoder = VOCABULARY.decoder()
    for _ in range(60):
        legal = np.flatnonzero(decoder.mask())
        assert len(legal)
        assert bool(decoder.mask()[PAD]) == (not decoder.open)
        call = decoder.push(int(rng.choice(list(legal))))
        if call is not None:
            jsonschema.validate(call.arguments, SCHEMAS[call.name])
            assert VOCABULARY.decode(VOCABULARY.encode(call)) == call


def test_every_call_ends_however_the_tokens_are_chosen() -> None:
    decoder = VOCABULARY.decoder()
    decoder.push(VOCABULARY.labels.index("order"))
    for _ in range(30):
        legal = [int(i) for i in np.flatnonzero(decoder.mask()) if i != END]
        if not legal:
            break
        decoder.push(legal[0])
    assert decoder.push(END) is not None


def test_a_call_is_as_short_as_its_slots() -> None:
    call = Call(
        name="order", arguments={"items": [{"drink": "latte", "size": "large"}, {"drink": "mocha"}]}
    )
    labels = [VOCABULARY.labels[i] for i in VOCABULARY.encode(call)]
    assert labels == ["order", "size=large", "drink=latte", "<item>", "drink=mocha", "<end>"]


def test_the_same_value_of_the_same_property_is_one_token_in_all_tools() -> None:
    assert VOCABULARY.labels.count("size=large") == 1
    assert (PAD, END, ITEM) == (0, 1, 2)


def test_a_vocabulary_rebuilt_from_its_json_has_the_same_tokens() -> None:
    assert CallVocabulary.from_tools(VOCABULARY.to_json()).labels == VOCABULARY.labels


@pytest.mark.parametrize(
    "call",
    [
        Call(name="fly"),
        Call(name="order", arguments={"items": []}),
        Call(name="order", arguments={}),
        Call(name="order", arguments={"items": [{"size": "large"}]}),
        Call(name="order", arguments={"items": [{"drink": "latte"}] * 4}),
        Call(name="change", arguments={}),
        Call(name="change", arguments={"size": "huge"}),
        Call(name="cancel", arguments={"why": "rain"}),
        Call(name="number", arguments={"digits": "1"}),
        Call(name="number", arguments={"digits": "12345"}),
        Call(name="number", arguments={"digits": "one"}),
    ],
)
def test_a_call_that_breaks_its_schema_has_no_tokens(call: Call) -> None:
    with pytest.raises(ScenarioError):
        VOCABULARY.encode(call)


@pytest.mark.parametrize("ids", [[], [END], [PAD], [3], [3, END], [999], [-1]])
def test_tokens_that_are_no_whole_call_are_refused(ids: list[int]) -> None:
    with pytest.raises(ScenarioError, match="not one whole call"):
        VOCABULARY.decode(ids)


def test_an_illegal_push_is_refused_and_a_reset_forgets_the_open_call() -> None:
    decoder = VOCABULARY.decoder()
    decoder.push(VOCABULARY.labels.index("order"))
    with pytest.raises(ScenarioError, match="not legal"):
        decoder.push(PAD)
    decoder.reset()
    assert not decoder.open
    assert decoder.push(PAD) is None


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"type": "string"},
        {"type": "object", "properties": {"text": {"type": "string"}}},
        {"type": "object", "properties": {"n": {"type": "integer"}}},
        {"type": "object", "properties": {"n": {"type": "number", "minimum": 0, "maximum": 2}}},
        {"type": "object", "required": ["x"], "properties": {}},
        {"type": "object", "properties": {"x": {"type": "array", "items": {"type": "string"}}}},
        {"type": "object", "properties": []},
    ],
)
def test_a_schema_without_tokens_is_refused_by_name(schema: dict[str, Any]) -> None:
    with pytest.raises(ScenarioError, match="tool 't"):
        CallVocabulary.from_tools([{"name": "t", "parameters": schema}])


@given(calls)
def test_what_can_be_encoded_breaks_no_schema(call: Call) -> None:
    assert schema_error(call.name, call.arguments, VOCABULARY.tools) == ""


@pytest.mark.parametrize(
    ("name", "arguments", "why"),
    [
        ("order", {"items": [{"drink": "tea"}]}, "'tea' is not one of"),
        ("order", {"items": "a latte"}, "is not of type 'array'"),
        ("order", {}, "'items' is a required property"),
        ("change", {"drink": "latte", "milk": "oat"}, "'milk' was unexpected"),
        ("number", {"digits": "1"}, "does not match"),
    ],
)
def test_a_schema_error_says_what_is_wrong(name: str, arguments: dict[str, Any], why: str) -> None:
    found = schema_error(name, arguments, VOCABULARY.tools)
    assert found.startswith(f"Its call of {name} breaks the schema: ")
    assert why in found


def test_a_call_of_no_tool_is_a_schema_error() -> None:
    assert schema_error("fly", {}, VOCABULARY.tools) == "It called fly, which is no tool."
    assert schema_error("fly", {}, [Tool(name="fly", parameters={"type": "object"})]) == ""


def test_slot_values_are_those_of_a_call_and_of_its_items() -> None:
    items = [{"drink": "latte", "hot": True}, {"drink": "mocha"}, "no object"]
    found = slot_values({"items": items, "cups": 2, "notes": []})
    assert list(found) == [("drink", "latte"), ("hot", "True"), ("drink", "mocha"), ("cups", "2")]
    assert list(slot_values({})) == []
