"""Dialogues: legal calls, faithful replies, natural order, the times that were asked for."""

from __future__ import annotations

import random
from collections import Counter
from itertools import islice, pairwise
from pathlib import Path
from statistics import median

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
        if any(turn.intent == "silence" for turn in dialogue.turns):
            assert set(speakers) == {"agent"}
        else:
            assert speakers == ["caller", "agent"] * (len(speakers) // 2)


def test_where_nobody_speaks_the_agent_asks_once_and_then_ends_the_call(
    cafe: Scenario, dialogues: list[Dialogue]
) -> None:
    quiet = [d.turns for d in dialogues if any(t.intent == "silence" for t in d.turns)]
    assert quiet
    shortest, longest = cafe.dialogue.patience
    for turns in quiet:
        assert len(turns) <= 2
        assert "?" in turns[0].text
        assert all(shortest <= turn.gap <= longest for turn in turns)
        if len(turns) == 2:
            assert "goodbye" in turns[1].text


def test_some_callers_break_in_on_an_answer_to_them(dialogues: list[Dialogue]) -> None:
    broken = 0
    for dialogue in dialogues:
        for before, turn in zip((None, *dialogue.turns), dialogue.turns, strict=False):
            if turn.breaks_in is not None:
                broken += 1
                assert turn.speaker == "caller"
                assert before is not None
                assert before.speaker == "agent"
                assert 0 < turn.breaks_in < 1
                assert turn.yields > 0
    assert broken > 50


def test_listeners_say_short_things_beside_a_turn(dialogues: list[Dialogue]) -> None:
    kinds: Counter[tuple[str, str]] = Counter()
    for turn in (turn for dialogue in dialogues for turn in dialogue.turns):
        for beside in turn.beside:
            kinds[beside.by, beside.kind] += 1
            assert beside.by != turn.speaker
            assert 0 <= beside.word < len(turn.text.split())
            last = len(turn.text.split()) - 1
            if beside.by == "agent" and beside.word < last:
                assert (beside.word, True) in [(i, s >= 0.4) for i, s in turn.pauses]
    assert min(kinds.values()) > 20
    assert set(kinds) == {
        ("caller", "backchannel"),
        ("caller", "side_talk"),
        ("agent", "backchannel"),
    }


def test_refusals_come_later_than_answers(cafe: Scenario, dialogues: list[Dialogue]) -> None:
    gaps: dict[bool, list[float]] = {True: [], False: []}
    for turn in (turn for dialogue in dialogues for turn in dialogue.turns):
        if turn.speaker == "agent" and turn.intent != "silence":
            gaps[cafe.intents[turn.intent].wait is not None].append(turn.gap)
    assert median(gaps[True]) > median(gaps[False]) + 0.4
    shortest, _, longest = cafe.intents["unsafe"].wait or (0, 0, 0)
    late = cafe.dialogue.missed_gap[1]
    assert all(shortest <= gap <= max(longest, late) for gap in gaps[True])


def test_some_answers_come_late_and_half_of_these_after_a_murmur(
    cafe: Scenario, dialogues: list[Dialogue]
) -> None:
    late: list[bool] = []
    answers = 0
    for dialogue in dialogues:
        for asked, reply in pairwise(dialogue.turns):
            if reply.speaker != "agent" or asked.speaker != "caller":
                continue
            answers += 1
            last = len(asked.text.split()) - 1
            murmur = any(b.by == "agent" and b.word == last for b in asked.beside)
            if cafe.intents[reply.intent].wait is None and reply.gap >= cafe.dialogue.missed_gap[0]:
                late.append(murmur)
            else:
                assert not murmur or cafe.intents[reply.intent].wait
    assert len(late) / answers == pytest.approx(cafe.dialogue.missed, abs=0.02)
    assert sum(late) / len(late) == pytest.approx(0.5, abs=0.15)


def test_the_tone_is_not_in_the_callers_words_and_changes_the_reply(cafe: Scenario) -> None:
    order, replies = None, set[str]()
    for tone in cafe.dialogue.tones:
        rng = random.Random(3)
        spoken = cafe.say("order", rng)
        assert order in (None, spoken.tokens)
        order = spoken.tokens
        reply = cafe.reply("order", spoken.slots, spoken.items, [], random.Random(0), tone)
        assert reply is not None
        replies.add(reply)
    assert len(replies) == 4


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
    shape = cafe.dialogue
    gaps = [turn.gap for turn in turns if turn.speaker == "agent" and turn.intent != "silence"]
    assert shape.agent_gap[0] <= min(gaps)
    late = [gap for gap in gaps if gap > shape.open_gap[2]]
    assert len(late) / len(gaps) < 0.2
    assert max(gaps) <= shape.missed_gap[1]
    silent = sum(not any(t.speaker == "caller" for t in d.turns) for d in dialogues)
    assert silent / len(dialogues) == pytest.approx(cafe.dialogue.silent, abs=0.03)
    callers = [sum(turn.speaker == "caller" for turn in d.turns) for d in dialogues]
    single = callers.count(1) / len(dialogues)
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
    assert len(words) < 150


def test_the_agent_waits_longer_after_words_that_callers_go_on_from(
    cafe: Scenario, dialogues: list[Dialogue]
) -> None:
    waits: dict[bool, list[float]] = {True: [], False: []}
    for dialogue in dialogues:
        for turn, answer in pairwise(dialogue.turns):
            if turn.speaker == "caller" and answer.speaker == "agent":
                finished = cafe.floor.finished(turn.text)
                if not 0.4 < finished < 0.7 and answer.gap < cafe.dialogue.open_gap[2]:
                    waits[finished > 0.5].append(answer.gap)
    assert len(waits[True]) > 50
    assert len(waits[False]) > 50
    assert max(waits[True]) < median(waits[False])


def test_the_agents_style_follows_the_callers_tone_unless_it_is_directed(
    cafe: Scenario, dialogues: list[Dialogue]
) -> None:
    styles = cafe.dialogue.styles
    directed = [dialogue for dialogue in dialogues if dialogue.directed]
    assert 0.15 < len(directed) / len(dialogues) < 0.3
    for dialogue in dialogues:
        for turn in dialogue.turns:
            if dialogue.directed:
                assert turn.style == dialogue.directed.style
            elif turn.speaker == "agent":
                assert turn.style == styles.get(turn.tone, "neutral")
    assert len({dialogue.directed for dialogue in directed}) > 15


def test_short_turns_break_in_more_often_and_some_are_noticed_late(
    cafe: Scenario, dialogues: list[Dialogue]
) -> None:
    shape = cafe.dialogue
    later = [turn for d in dialogues for turn in d.turns[1:] if turn.speaker == "caller"]
    short = [turn.breaks_in for turn in later if len(turn.text.split()) <= shape.short_turn]
    long = [turn.breaks_in for turn in later if len(turn.text.split()) > shape.short_turn]
    assert sum(at is not None for at in short) / len(short) > 0.4
    assert 0.2 < sum(at is not None for at in long) / len(long) < 0.33
    yields = [turn.yields for turn in later if turn.breaks_in is not None]
    late = [seconds for seconds in yields if seconds > shape.yields[1]]
    assert 0.1 < len(late) / len(yields) < 0.3
    assert max(late) <= shape.late_yields[1]
