from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest

from antiphon.corpus.conversation import Conversation, Event
from antiphon.corpus.disk import write_conversation, write_index
from antiphon.corpus.grammar import join
from antiphon.corpus.voices import GROUPS, Voices
from antiphon.errors import CorpusError
from antiphon.evaluation.stimuli import check
from antiphon.evaluation.stimuli.apart import is_test_voice, of_test
from tests.evaluation.stimuli.made import NAMES, cafe, one


def sentence(intent: str, of: str) -> str:
    """A sentence of the scenario that is, or is not, of the test split."""
    scenario, rng = cafe(), random.Random(0)
    while True:
        text = join(scenario.say(intent, rng).tokens)
        if of_test([text]) == (of == "test"):
            return text


def corpus(folder: Path, text: str, voice: str = "flite:rms") -> Path:
    data = {"text": text, "voice": voice, "intent": "order", "tone": "neutral"}
    turn = Event(kind="turn", speaker="caller", start=0.1, end=0.9, data=data)
    said = Conversation(np.zeros((2, 16_000), np.float32), (), (turn,))
    write_index(folder, [write_conversation(folder, 0, said)])
    return folder


def test_voices_of_the_two_groups_are_told_apart() -> None:
    assert not any(is_test_voice(name) for name in GROUPS["train"])
    with Voices() as voices:
        for seed in range(60):
            assert is_test_voice(voices.caller("test", random.Random(seed)).name)
            assert not is_test_voice(voices.caller("train", random.Random(seed)).name)
    assert not is_test_voice("recorded")


def test_a_voice_of_training_is_refused_with_its_sentence() -> None:
    text = sentence("order", "test")
    check(one(text), cafe())
    with pytest.raises(CorpusError, match=f'"{text}" is said by flite:rms, a voice of training'):
        check(one(text, voice="flite:rms"), cafe())


def test_a_sentence_of_training_is_refused() -> None:
    text = sentence("order", "train")
    with pytest.raises(CorpusError, match="not of the test split") as refused:
        check(one(text), cafe())
    assert text in str(refused.value)


def test_the_whole_of_a_script_counts_at_each_of_its_turns() -> None:
    first = sentence("order", "test")
    changes = (sentence("change", of) for of in ("test", "train"))
    outcomes = set()
    for second in changes:
        if of_test([first, second]):
            check(one(first, second), cafe())
            outcomes.add("kept")
        else:
            with pytest.raises(CorpusError, match=r" \| "):
                check(one(first, second), cafe())
            outcomes.add("refused")
    assert "refused" in outcomes


def test_what_nobody_of_the_scenario_says_needs_no_split() -> None:
    check(one("is it true that octopuses have nine hearts"), cafe())


def test_what_is_not_for_the_agent_must_be_no_turn_of_the_scenario() -> None:
    text = sentence("order", "test")
    kinds = ("turn", "backchannel")
    check(one(text, "yeah okay", kinds=kinds), cafe())
    with pytest.raises(CorpusError, match='"okay" is not said to the agent'):
        check(one(text, "okay", kinds=kinds), cafe())


def test_a_training_corpus_may_hold_neither_the_order_nor_the_voice(tmp_path: Path) -> None:
    text = sentence("order", "test")
    check(one(text), cafe(), [corpus(tmp_path / "other", sentence("order", "train"))])
    hesitant = " ".join(["um,", *text.split()])
    with pytest.raises(CorpusError, match="a training corpus has the turn") as refused:
        check(one(text), cafe(), [corpus(tmp_path / "same", hesitant)])
    assert text in str(refused.value)
    with pytest.raises(CorpusError, match="which a training corpus has too"):
        check(one(text), cafe(), [corpus(tmp_path / "voice", "hello", NAMES[0])])


def test_what_everybody_says_may_be_in_a_corpus(tmp_path: Path) -> None:
    text = sentence("cancel", "test")
    check(one(text), cafe(), [corpus(tmp_path, text)])


def test_a_corpus_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    folder = corpus(tmp_path, "hello")
    (folder / "000" / "000000.json").write_text(json.dumps([]))
    with pytest.raises(CorpusError, match=r"000000\.json"):
        check(one("hello"), cafe(), [folder])
