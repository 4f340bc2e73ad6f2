from __future__ import annotations

import random
from collections import defaultdict

import pytest

from antiphon.cascade.network import Network, accepts, compile_network, vocabulary
from antiphon.corpus import grammar
from antiphon.corpus.scenario import Scenario
from antiphon.corpus.turn_reader import Reader


@pytest.fixture(scope="module")
def network(bar: Scenario) -> Network:
    return compile_network(bar, lambda word: True)


def walk(network: Network, rng: random.Random) -> list[str]:
    rows = defaultdict(list)
    for arc in network.arcs:
        rows[arc.source].append(arc)
    state, words = network.start, list[str]()
    while state != network.final:
        arc = rng.choices(rows[state], [a.probability for a in rows[state]])[0]
        state = arc.target
        words += [arc.word] if arc.word else []
    return words


def test_all_that_callers_say_is_in_the_network(bar: Scenario, network: Network) -> None:
    rng = random.Random(0)
    for intent in list(bar.intents) * 30:
        said = grammar.plain(grammar.join(bar.say(intent, rng).tokens)).split()
        assert accepts(network, said), said


def test_all_that_the_network_says_can_be_read(bar_reader: Reader, network: Network) -> None:
    rng = random.Random(1)
    for _ in range(300):
        said = walk(network, rng)
        assert bar_reader.read(said) is not None, said


@pytest.mark.parametrize("said", ["", "a latte", "give me", "my number is one two three"])
def test_nothing_else_is(network: Network, said: str) -> None:
    assert not accepts(network, said.split())


def test_no_arc_is_impossible_or_leads_nowhere(network: Network) -> None:
    assert all(0 < arc.probability <= 1 for arc in network.arcs)
    sources = {arc.source for arc in network.arcs}
    assert {arc.target for arc in network.arcs} - sources == {network.final}
    assert sources | {network.final} == set(range(network.size))


def test_ways_with_a_word_that_cannot_be_recognised_are_left_out(bar: Scenario) -> None:
    network = compile_network(bar, lambda word: word != "blend")
    assert not accepts(network, ["give", "me", "a", "house", "blend"])
    assert not any(arc.word == "house" for arc in network.arcs)
    assert accepts(network, ["give", "me", "a", "coffee"])


def test_an_intent_can_be_left_out(bar: Scenario) -> None:
    network = compile_network(bar, lambda word: True, leave_out=frozenset({"out_of_domain"}))
    assert not accepts(network, ["call", "a", "taxi"])


def test_the_vocabulary_is_what_the_network_says_and_more_has_no_use(
    bar: Scenario, network: Network
) -> None:
    assert network.words == vocabulary(bar)
