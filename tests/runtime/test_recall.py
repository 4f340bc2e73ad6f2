from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from antiphon.runtime.agent import Agent
from antiphon.runtime.recall import as_conversation

Caller = Callable[..., np.ndarray]


def test_an_answered_call_becomes_a_conversation(tiny_bundle: Path, spoken: Caller) -> None:
    answer = Agent.load(tiny_bundle).answer(spoken())
    made = as_conversation(answer)
    assert made.audio.shape == (2, len(answer.caller))
    said = {
        speaker: " ".join(word.text for word in made.words if word.speaker == speaker)
        for speaker in ("agent", "caller")
    }
    assert said == {"agent": "a large latte coming up", "caller": "a large latte please"}
    assert [event.kind for event in made.events].count("call") == 1
    assert [turn.speaker for turn in made.turns()] == ["caller", "agent"]


def test_words_of_one_speaker_do_not_overlap(tiny_bundle: Path, spoken: Caller) -> None:
    made = as_conversation(Agent.load(tiny_bundle).answer(spoken()))
    for speaker in ("agent", "caller"):
        words = [word for word in made.words if word.speaker == speaker]
        assert all(word.start <= word.end for word in words)
        for before, after in pairwise(words):
            assert before.end <= after.start + 1e-9


def test_a_silent_call_is_an_empty_conversation(tiny_bundle: Path) -> None:
    answer = Agent.load(tiny_bundle).answer(np.zeros(1600, dtype=np.float32), tail=0.5)
    made = as_conversation(answer)
    assert made.words == ()
    assert made.events == ()
    assert made.duration == pytest.approx(0.1 + 0.5 + 0.08, abs=0.1)
