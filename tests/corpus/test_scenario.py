"""Scenarios: the café does what it says, another domain needs no Python, mistakes name a line."""

from __future__ import annotations

import itertools
import pickle
import random
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from antiphon.corpus.calls import Call
from antiphon.corpus.dialogue import sample_dialogue
from antiphon.corpus.scenario import Scenario, load_scenario
from antiphon.errors import ScenarioError

CAFE = Path(__file__).parents[2] / "scenarios" / "cafe.yaml"

CLINIC = """\
name: clinic
slots:
  day: [monday, tuesday]
  doctor:
    - doctor smith *2
    - doctor jones: doctor jones | jones
rules:
  who: with {doctor}
object:
  reply: "[{doctor}] on {day} | {doctor}"
tools:
  book:
    parameters:
      type: object
      required: [day]
      properties:
        day: {slot: day}
        doctor: {slot: doctor}
  move:
    parameters: {type: object, minProperties: 1, properties: {day: {slot: day}}}
intents:
  book:
    say: i need an appointment on {day} [<who>]
    weight: 5
    call: book
    effect: add
    reply: {neutral: "booked , {said} .", warm: "lovely , {said} ."}
  move:
    say:
      - make it {day}
      - rather {day} please
    weight: {empty: 0, held: 3}
    call: move
    effect: change
    reply: moved to {day} .
  ask:
    say: when is it
    weight: {empty: 0, held: 1}
    reply: you have {held} .
  bye:
    say: goodbye
    weight: 1
    place: last
    reply: goodbye.
"""


@pytest.fixture(scope="module")
def cafe() -> Scenario:
    return load_scenario(CAFE)


def load_text(tmp_path: Path, text: str) -> Scenario:
    path = tmp_path / "clinic.yaml"
    path.write_text(text)
    return load_scenario(path)


def line_of(text: str, fragment: str) -> int:
    return next(i for i, line in enumerate(text.splitlines(), 1) if fragment in line)


# -- the café ---------------------------------------------------------------------------------


def test_every_combination_of_slots_is_confirmed_so_that_it_reads_back(cafe: Scenario) -> None:
    rng = random.Random(0)
    slots = {name: [v.value for v in cafe.slots[name].values] for name in cafe.slots}
    optional = ["size", "roast", "shots", "milk", "sugar"]
    schema = cafe.tools[0].parameters["properties"]["items"]["items"]["properties"]
    for chosen in itertools.product([False, True], repeat=len(optional)):
        for drink in slots["drink"]:
            item = {n: rng.choice(slots[n]) for n, on in zip(optional, chosen, strict=True) if on}
            for noun in ("milk", "sugar"):
                if noun in item and rng.random() < 0.7:
                    item[f"{noun}_amount"] = rng.choice(slots[f"{noun}_amount"])
            item["drink"] = drink
            item = {name: item[name] for name in schema if name in item}
            text = cafe.reply("order", {}, [item], [item], rng)
            assert text is not None
            assert cafe.parse_reply_slots(text) == [item]
            assert cafe.parse_reply_slots(text.replace(",", "").replace(".", "")) == [item]
            call = Call(name="place_order", arguments={"items": [item]})
            assert cafe.reply_agrees(call, text)
            assert cafe.call_vocabulary.decode(cafe.call_vocabulary.encode(call)) == call


def test_a_reply_with_another_slot_does_not_agree_with_the_call(cafe: Scenario) -> None:
    call = Call(name="place_order", arguments={"items": [{"size": "large", "drink": "latte"}]})
    assert cafe.reply_agrees(call, "okay, a large latte. anything else?")
    for text in ("okay, a latte.", "okay, a small latte.", "okay, a large latte with milk.", ""):
        assert not cafe.reply_agrees(call, text)
    number = Call(name="loyalty_number", arguments={"digits": "4005"})
    assert cafe.reply_agrees(number, "okay, four zero, zero five.")
    assert not cafe.reply_agrees(number, "okay, four zero five.")


def test_an_item_becomes_the_benchmarks_slots(cafe: Scenario) -> None:
    item = {
        "size": "twelve ounce",
        "shots": "double shot",
        "drink": "iced mocha",
        "milk_amount": "some",
        "milk": "soy milk",
        "sugar": "brown sugar",
    }
    assert cafe.manifest_slots(item) == {
        "coffeeDrink": "iced mocha",
        "size": "twelve ounce",
        "numberOfShots": "double shot",
        "milkAmount": "some soy milk",
        "sugarAmount": "brown sugar",
    }


def test_changing_a_noun_drops_the_amount_of_the_old_one(cafe: Scenario) -> None:
    item = {"drink": "latte", "milk_amount": "some", "milk": "soy milk"}
    cafe.merge(item, {"milk": "cream"})
    assert item == {"drink": "latte", "milk": "cream"}
    cafe.merge(item, {"milk_amount": "lots of", "milk": "milk"})
    assert item == {"drink": "latte", "milk_amount": "lots of", "milk": "milk"}


def test_a_price_depends_on_drink_and_size(cafe: Scenario) -> None:
    rng = random.Random(0)
    large = cafe.reply("price", {"drink": "coffee", "size": "large"}, [], [], rng)
    assert large == "a large coffee is three dollars."
    assert cafe.reply("price", {"drink": "latte"}, [], [], rng) == "a latte is three fifty and up."


def test_a_scenario_can_be_sent_to_another_process(cafe: Scenario) -> None:
    again = pickle.loads(pickle.dumps(cafe))
    assert again.say("order", random.Random(1)) == cafe.say("order", random.Random(1))


# -- another domain -----------------------------------------------------------------------------


def test_another_domain_needs_no_python(tmp_path: Path) -> None:
    clinic = load_text(tmp_path, CLINIC)
    rng = random.Random(0)
    made: set[str] = set()
    for _ in range(300):
        for turn in sample_dialogue(clinic, rng).turns:
            for call in turn.calls:
                made.add(call.name)
                assert clinic.reply_agrees(call, turn.text) or call.name == "move"
    assert made == {"book", "move"}
    warm = clinic.reply("book", {"day": "monday"}, [], [], rng, tone="warm")
    assert warm == "lovely, on monday."


# -- mistakes -----------------------------------------------------------------------------------

MISTAKES = [
    ("make it {day}", "make it {dya}", "unknown slot 'dya'"),
    ("[<who>]", "[<whom>]", "unknown rule <whom>"),
    ("with {doctor}", "with {doktor}", "unknown slot 'doktor'"),
    ("day: {slot: day}", "day: {slot: days}", "unknown slot 'days'"),
    ("    call: move", "    call: moove", "unknown tool 'moove'"),
    ("    place: last", "    plaec: last", "unknown key"),
    ("    place: last", "    place: end", "place"),
    ("    effect: add", "    effect: none", "can never come up"),
    ("    weight: 1", "    weight: 0", "can never come up"),
    ("moved to {day} .", "moved to {doctor} .", "needs {doctor}"),
    ("goodbye.", "we open {fact.hours} .", "unknown fact 'hours'"),
    ("    say: goodbye", "    say: (goodbye", "not closed"),
    ("rather {day} please", "rather 3 please", "numbers as words"),
    ("[monday, tuesday]", "[monday, monday]", "same value twice"),
    ("[monday, tuesday]", "[]", "at least one value"),
    ("i need an appointment on {day}", "an appointment [on {day}]", "when a caller says"),
    ("  move:\n    parameters:", "  move:\n    schema:", "has no schema"),
    ("{empty: 0, held: 3}", "{empty: 1, held: 3}", "reply_empty"),
    ("name: clinic", "name: clinic\nname: clinic", "stands here twice"),
    ("    say: goodbye\n", "", "missing"),
    ("  who: with {doctor}", "  who: <who>", "in a circle"),
    ("name: clinic", "name: clinic\ndialogue: {tail: [3, 1]}", "shortest to the longest"),
    ("name: clinic", "name: clinic\ndialogue: {silent: 3}", "silent"),
    ("slots:", "slots: [", "not valid YAML"),
]


@pytest.mark.parametrize(("right", "wrong", "message"), MISTAKES)
def test_a_mistake_is_one_sentence_with_its_line(
    tmp_path: Path, right: str, wrong: str, message: str
) -> None:
    assert right in CLINIC
    with pytest.raises(ScenarioError) as caught:
        load_text(tmp_path, CLINIC.replace(right, wrong, 1))
    sentence = str(caught.value)
    assert message in sentence
    assert sentence.startswith("clinic.yaml:")
    assert "\n" not in sentence


@pytest.mark.parametrize("fragment", ["rather {day} please", "with {doctor}", "moved to {day} ."])
def test_the_line_is_that_of_the_wrong_template(tmp_path: Path, fragment: str) -> None:
    text = CLINIC.replace(fragment, "oh {nothing} .")
    line = line_of(text, "oh {nothing} .")
    with pytest.raises(ScenarioError, match=rf"^clinic\.yaml:{line}: unknown slot 'nothing'"):
        load_text(tmp_path, text)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"- a\n- b\n", b"hello", b"a: &x [*x]"])
def test_a_file_that_is_no_scenario_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "clinic.yaml"
    path.write_bytes(content)
    with pytest.raises(ScenarioError):
        load_scenario(path)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="does not exist"):
        load_scenario(tmp_path / "none.yaml")
    with pytest.raises(ScenarioError, match="cannot be read"):
        load_scenario(tmp_path)


def _paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    entries: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        entries = list(value.items())
    elif isinstance(value, list):
        entries = list(enumerate(value))
    return [path, *(p for key, inner in entries for p in _paths(inner, (*path, key)))]


PATHS = _paths(yaml.safe_load(CLINIC))[1:]


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.sampled_from(PATHS),
    st.sampled_from([None, 3, -1.5, True, "", "x", "{x}", "<x>", [], [[]], ["x", 2], {}, {"x": 1}]),
)
def test_whatever_stands_in_a_place_it_loads_or_is_one_sentence(
    tmp_path: Path, path: tuple[Any, ...], junk: Any
) -> None:
    document = yaml.safe_load(CLINIC)
    inner = document
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = junk
    try:
        scenario = load_text(tmp_path, yaml.safe_dump(document))
    except ScenarioError as problem:
        sentence = str(problem)
    else:
        sample_dialogue(scenario, random.Random(0))
        return
    assert "\n" not in sentence
