"""A small scenario with one of everything, and readers of it and of the café's, as fixtures."""

from __future__ import annotations

from pathlib import Path

import pytest

from antiphon.corpus.scenario import Scenario, load_scenario
from antiphon.corpus.turn_reader import Reader

BAR = """\
name: bar
slots:
  size: [small, large]
  drink: [latte, mocha, {coffee: "coffee *9 | house blend"}]
  milk_amount: {of: milk, values: [some, a lot of]}
  milk: [milk, cream]
  number: {digits: [4, 6]}
rules:
  with: "with [{milk_amount}] {milk}"
object:
  say: {item: "@a [{size}] {drink} [<with>]"}
  reply: "(@a [{size}] {drink} | [{size}]) [with [{milk_amount}] {milk}]"
facts:
  price:
    by: [drink]
    rows: {latte: three dollars, "*": two dollars}
tools:
  place_order:
    parameters:
      type: object
      required: [items]
      properties:
        items:
          type: array
          maxItems: 2
          items:
            type: object
            required: [drink]
            properties:
              size: {slot: size}
              drink: {slot: drink}
              milk_amount: {slot: milk_amount}
              milk: {slot: milk}
  change_order:
    parameters:
      type: object
      properties: {size: {slot: size}, drink: {slot: drink}, milk: {slot: milk}}
  cancel_order: {parameters: {type: object, properties: {}}}
  loyalty_number:
    parameters: {type: object, required: [number], properties: {number: {slot: number}}}
intents:
  order:
    weight: {empty: 9, held: 3}
    say: "[hello ,] (can i get | give me) _ <item> [and <item>] [please]"
    call: place_order
    effect: add
    reply: "okay , {said} ."
  change:
    weight: {empty: 0, held: 5}
    say: "(no ,|) make it ({size} | @a {drink} | with {milk})"
    call: change_order
    effect: change
    reply: "okay , now {said} ."
    reply_empty: "what would you like ?"
  cancel:
    weight: {empty: 0, held: 1}
    say: cancel (that | my order)
    call: cancel_order
    effect: clear
    reply: your order is cancelled .
    reply_empty: you have no order .
  repeat:
    weight: 1
    say: what do i have
    reply: you have {held} .
    reply_empty: you have no order .
  price:
    weight: 1
    say: how much is @a {drink}
    reply: "{said} is {fact.price} ."
  loyalty:
    weight: 1
    say: my number is {number}
    call: loyalty_number
    reply: "got it , {number} ."
  out_of_domain:
    weight: 1
    say: (what time is it | call a taxi)
    reply: "sorry , i can only help with orders ."
"""


@pytest.fixture(scope="session")
def bar(tmp_path_factory: pytest.TempPathFactory) -> Scenario:
    path = tmp_path_factory.mktemp("bar") / "bar.yaml"
    path.write_text(BAR)
    return load_scenario(path)


@pytest.fixture(scope="session")
def bar_reader(bar: Scenario) -> Reader:
    return Reader(bar)


@pytest.fixture(scope="session")
def cafe() -> Scenario:
    return load_scenario(Path(__file__).parents[1] / "scenarios" / "cafe.yaml")
