"""Two ears on the same orders: how often is each right, and what if the second decides?

    python benchmarks/second_ear.py --bundle cafe --data barista/manifest.jsonl

Plays every recording of a manifest (`path`, `slots`) to the agent, and to the cascade's recogniser
as the guard's second ear has it: from the first sound to the last, in one piece. Prints how often
each is right alone and both are wrong, and how many orders are right where the second ear decides
up to a misfit (`guard.reading.misfit`), else the agent's own words, else its call.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from antiphon.audio import SAMPLE_RATE
from antiphon.audio.io import frames, read
from antiphon.cascade import Cascade
from antiphon.cascade.recogniser import Heard, Recogniser
from antiphon.corpus.scenario import Scenario
from antiphon.corpus.turn_reader import Reader
from antiphon.evaluation.commands import read_manifest
from antiphon.runtime.agent import Agent
from antiphon.runtime.latency import speech_end

MISFITS = (-5.0, -2.0, 0.0, 2.0, 5.0, 8.0, 10.0, 1e9)
AFTER = 0.3  # s after the last sound that the recogniser gets, as when the agent calls

Items = list[dict[str, str]]


class Order(NamedTuple):
    """What each makes of a recording, and what is right."""

    wanted: Items
    called: Items
    words: Items | None
    ear: Items | None
    misfit: float


def second_ear(recogniser: Recogniser, path: Path) -> Heard | None:
    """What the recogniser makes of a recording's speech."""
    samples = read(path)
    end = speech_end(samples) or len(samples) / SAMPLE_RATE
    recogniser.reset()
    recogniser.open()
    for frame in frames(samples[: round((end + AFTER) * SAMPLE_RATE)]):
        recogniser.push(frame)
    return recogniser.close()


def items(scenario: Scenario, objects: Sequence[Mapping[str, Any]]) -> Items:
    """Objects under the manifest's names."""
    return [scenario.manifest_slots(each) for each in objects]


def read_items(scenario: Scenario, reader: Reader, words: Sequence[str]) -> Items | None:
    """The items that words ask for; None where they are no sentence with any."""
    reading = reader.read(words) if words else None
    return items(scenario, reading.items) if reading is not None and reading.items else None


def decided(order: Order, misfit: float) -> Items:
    """What is called in the end."""
    if order.ear is not None and order.misfit <= misfit:
        return order.ear
    return order.words if order.words is not None else order.called


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bundle", default="cafe")
    parser.add_argument("--data", type=Path, required=True, help="a manifest of orders")
    given = parser.parse_args()
    agent = Agent.load(given.bundle)
    scenario = agent.scenario
    cascade = Cascade(scenario)
    recogniser = Recogniser(cascade.network, cascade.pronunciations)
    orders: list[Order] = []
    for clip in read_manifest(given.data):
        answer = agent.answer(clip.path)
        called = [call.arguments.get("items", []) for call in answer.calls]
        heard = second_ear(recogniser, clip.path)
        orders.append(
            Order(
                [dict(clip.slots or {})],
                items(scenario, called[0] if called else []),
                read_items(scenario, cascade.reader, answer.caller_text.split()),
                read_items(scenario, cascade.reader, heard.text) if heard is not None else None,
                heard.misfit if heard is not None else 0.0,
            )
        )
    alone = Counter((o.called == o.wanted, o.ear == o.wanted) for o in orders)
    print(f"{len(orders)} orders: right by both {alone[True, True]}, by the network alone")
    print(
        f"{alone[True, False]}, by the second ear alone {alone[False, True]}, by neither", end=" "
    )
    print(f"{alone[False, False]}")
    for misfit in MISFITS:
        right = sum(decided(order, misfit) == order.wanted for order in orders)
        print(f"the second ear decides up to {misfit:8g}: {right} right, {right / len(orders):.3f}")


if __name__ == "__main__":
    main()
