"""Dialogues: legal calls, faithful replies, natural order, the times that were asked for."""

from __future__ import annotations

import random
from collections import Counter
from itertools import islice
from pathlib import Path

import jsonschema
import pytest

from antiphon.corpus.dialogue import Dialogue, agent_sentences, sample_dialogue
from antiphon.corpus.scenario import Scenario, load_scenario

CAFE = Path(__file__).parents[2] / "scenarios" / "cafe.yaml"


@pytest.fixture(scope="module")
def cafe() -> Scenario:
    return load_scenario(CAFE)


@pytest.fixture(scope="module")
def dialogues(cafe: Scenario) -> list[Dialogue]:
    rng = random.Random(7)
    return [sample_dialogue(cafe, rng) for _ in range(800)]


def test_the_same_seed_gives_the_same_dialogues(cafe: Scenario) -> None:
    first, second = random.Random(5), random.Random(5)
    for _ in range(50):
        assert sample_dialogue(cafe, first) == sample_dialogue(cafe, second)


def test_calls_satisfy_their_schemas_and_replies_agree_with_them(
    cafe: Scenario, dialogues: list[Dialogue]
) -> None:
    schemas = {tool.name: tool.parameters for tool in cafe.tools}
    seen: Counter[str] = Counter()
    for turn in (turn for dialogue in dialogues for turn in dialogue.turns):
        for call in turn.calls:
            seen[call.name] += 1
            jsonschema.validate(call.arguments, schemas[call.name])
            assert cafe.reply_agrees(call, turn.text), (call, turn.text)
            assert cafe.call_vocabulary.decode(cafe.call_vocabulary.encode(call)) == call
    assert set(seen) == set(schemas)


def test_callers_speak_first_and_the_agent_answers_each_turn(dialogues: list[Dialogue]) -> None:
    for dialogue in dialogues:
        speakers = [turn.speaker for turn in dialogue.turns]
        assert speakers == ["caller", "agent"] * (len(speakers) // 2)


def test_texts_are_lower_case_words_without_digits(dialogues: list[Dialogue]) -> None:
    for turn in (turn for dialogue in dialogues for turn in dialogue.turns):
        assert turn.text
        assert turn.text == turn.text.lower()
        assert set(turn.text) <= set("abcdefghijklmnopqrstuvwxyz' ,.?")


def test_pauses_fall_inside_the_turn(dialogues: list[Dialogue]) -> None:
    paused = 0
    for turn in (turn for dialogue in dialogues for turn in dialogue.turns):
        for index, seconds in turn.pauses:
            paused += 1
            assert turn.speaker == "caller"
            assert 0 <= index < len(turn.text.split()) - 1
            assert 0.2 <= seconds <= 1.6
    assert paused > 100


def test_shares_and_times_are_those_of_the_scenario(
    cafe: Scenario, dialogues: list[Dialogue]
) -> None:
    turns = [turn for dialogue in dialogues for turn in dialogue.turns]
    gaps = [turn.gap for turn in turns if turn.speaker == "agent"]
    shortest, _, longest = cafe.dialogue.agent_gap
    assert shortest <= min(gaps) <= max(gaps) <= longest
    silent = sum(not dialogue.turns for dialogue in dialogues) / len(dialogues)
    assert 0.015 < silent < 0.07
    single = sum(len(dialogue.turns) == 2 for dialogue in dialogues) / len(dialogues)
    assert 0.4 < single < 0.56
    intents = Counter(turn.intent for turn in turns if turn.speaker == "caller")
    orders = sum(intents[name] for name in ("order", "order_several", "order_more"))
    assert 0.55 < orders / intents.total() < 0.72
    assert set(intents) == set(cafe.intents)


def test_greetings_open_and_goodbyes_close(dialogues: list[Dialogue]) -> None:
    for dialogue in dialogues:
        intents = [turn.intent for turn in dialogue.turns]
        assert "greeting" not in intents[2:]
        assert "goodbye" not in intents[:-2]
        assert "thanks" not in intents[:-2]


def test_talk_about_other_things_never_makes_a_call(dialogues: list[Dialogue]) -> None:
    other = {"out_of_domain", "not_on_menu", "greeting", "thanks", "hours", "price"}
    for turn in (turn for dialogue in dialogues for turn in dialogue.turns):
        if turn.intent in other:
            assert not turn.calls


def test_the_agents_words_are_few(cafe: Scenario) -> None:
    words = {
        word.strip(",.?")
        for sentence in islice(agent_sentences(cafe, random.Random(0)), 2000)
        for word in sentence.split()
    }
    assert len(words) < 140
