from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from antiphon.evaluation.speech import (
    Reading,
    dropouts,
    is_clipped,
    read_back,
    report,
    sound,
)
from antiphon.evaluation.stimuli.single import SpokenOrder
from antiphon.runtime.agent import Agent
from tests.evaluation.fakes import SAID, Ear, Voice, buzz

Caller = Callable[..., np.ndarray]


@pytest.fixture
def read(tiny_bundle: Path, spoken: Caller) -> Callable[..., Reading]:
    agent = Agent.load(tiny_bundle)

    def call(*heard: str, samples: np.ndarray | None = None) -> Reading:
        stimulus = SpokenOrder("order", spoken() if samples is None else samples)
        scores = {"p808": 3.5, "ovrl": 3.0}
        return read_back(agent, Ear(*heard), stimulus, Voice(), natural=lambda _: scores)

    return call


def test_speech_that_is_read_back_as_written_agrees_in_all_three(
    read: Callable[..., Reading],
) -> None:
    reading = read(SAID)
    assert reading.text == reading.heard == reading.voice_heard == SAID
    assert reading.errors == reading.voice_errors == 0
    assert reading.agreement is not None
    assert reading.agreement.all_three
    assert reading.sound is not None
    assert reading.sound.p808 == 3.5


def test_a_slot_that_sounds_otherwise_breaks_the_agreement_of_speech_alone(
    read: Callable[..., Reading],
) -> None:
    reading = read("a small latte coming up", SAID)
    assert reading.errors == 5
    assert reading.voice_errors == 0
    assert reading.agreement is not None
    assert reading.agreement.text_and_call
    assert not reading.agreement.speech_and_call
    assert not reading.agreement.text_and_speech
    assert not reading.agreement.all_three


def test_silence_is_no_answer_and_counts_in_no_other_figure(read: Callable[..., Reading]) -> None:
    silent = read(SAID, samples=np.zeros(16_000, np.float32))
    assert not silent.answered
    assert silent.agreement is None
    figures = report([silent, read(SAID)], bundle="tiny", data="made")
    assert (figures.answered.hits, figures.answered.n) == (1, 2)
    assert (figures.all_three.hits, figures.all_three.n) == (1, 1)
    assert figures.cer.n == 1


def test_the_report_of_several_answers(read: Callable[..., Reading]) -> None:
    right, wrong = read(SAID), read("a large lad coming up", SAID)
    figures = report([right, right, right, wrong], bundle="tiny", data="made")
    assert figures.cer.value == pytest.approx(3 / (4 * len(SAID)))
    assert figures.cer.low == 0
    assert figures.cer_median == 0
    assert figures.judge_cer.value == 0
    assert figures.valid
    assert figures.exact.hits == 3
    assert (figures.all_three.hits, figures.all_three.n) == (3, 4)
    assert figures.p808_difference.value == 0
    assert figures.clipped.hits == 0
    assert [r.heard for r in figures.worst] == [wrong.heard]
    assert figures.model_validate_json(figures.model_dump_json()) == figures


def test_a_judge_that_misreads_the_voice_itself_is_not_valid(read: Callable[..., Reading]) -> None:
    figures = report([read(SAID, "a large")], bundle="tiny", data="made")
    assert figures.judge_cer.value is not None
    assert figures.judge_cer.value > 0.05
    assert not figures.valid


def test_nothing_to_report_is_a_report() -> None:
    figures = report([], bundle="tiny", data="made")
    assert figures.cer.value is None
    assert not figures.valid
    assert figures.cer.show() == "-"


def test_a_lost_frame_is_a_dropout_and_a_dying_sound_is_none() -> None:
    whole = buzz(1.0)
    broken = whole.copy()
    broken[6_400:7_680] = 0
    dying = whole * np.exp(-np.arange(16_000) / 1_600).astype(np.float32)
    assert dropouts(whole) == 0
    assert dropouts(dying) == 0
    assert dropouts(broken) == 1
    assert dropouts(np.concatenate([dying, np.zeros(16_000, np.float32), whole])) == 1
    assert dropouts(whole[:100]) == 0


def test_three_samples_at_full_scale_are_clipping() -> None:
    loud = buzz(0.1)
    loud[100:102] = 1.0
    assert not is_clipped(loud)
    loud[102] = -1.0
    assert is_clipped(loud)


def test_the_sound_is_that_of_the_audible_part() -> None:
    padded = np.concatenate([np.zeros(16_000, np.float32), buzz(0.5), np.zeros(8_000, np.float32)])
    heard: list[int] = []

    def scores(samples: np.ndarray) -> dict[str, float]:
        heard.append(len(samples))
        return {"p808": 3.0, "ovrl": 2.0}

    made = sound(padded, scores)
    assert made.seconds == pytest.approx(0.5, abs=0.01)
    assert heard[0] == pytest.approx(0.7 * 16_000, abs=200)
    assert (made.p808, made.ovrl) == (3.0, 2.0)
    assert sound(np.zeros(16_000, np.float32), scores).seconds == 0
