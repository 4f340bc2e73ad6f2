from __future__ import annotations

from dataclasses import replace

import pytest

from antiphon.corpus.conversation import Word
from antiphon.evaluation.metrics.lines import turns, word_errors
from antiphon.evaluation.trial import Trial
from tests.evaluation.fakes import Ear
from tests.evaluation.metrics.made import event, figures, trial


def said(text: str, name: str, condition: str = "clean") -> Trial:
    """A caller's turn of one word a second, from 1 s on, with the agent's word inside it."""
    words = text.split()
    made = trial(
        "order",
        suite="task",
        name=name,
        condition=condition,
        events=[event("turn", 1.0, 1.0 + len(words))],
        order=[{"tea": "green tea"}],
    )
    spoken = tuple(
        Word(text=word, start=1.0 + i, end=1.9 + i, speaker="caller")
        for i, word in enumerate(words)
    )
    other = Word(text="okay", start=1.2, end=1.4, speaker="agent")
    late = Word(text="later", start=8.0, end=8.5, speaker="caller")
    conversation = replace(made.conversation, words=(*spoken, other, late))
    return replace(made, conversation=conversation)


def test_a_turn_has_the_words_of_its_span() -> None:
    assert turns(said("a green tea", "x").conversation) == [("a green tea", 1.0, 4.0)]


def test_errors_are_counted_by_condition_over_all_words() -> None:
    trials = [
        said("a green tea please", "task/order/0"),
        said("one black tea", "task/order/1"),
        said("a green tea please", "task/order/0@snr5", "snr5"),
    ]
    ear = Ear("a green tea please", "one tea", "a clean key")
    found = {f.name: f for f in word_errors(trials, ear)}  # type: ignore[arg-type]
    assert list(found) == ["robustness.judge_wer_clean", "robustness.judge_wer_snr5"]
    assert found["robustness.judge_wer_clean"].value == pytest.approx(1 / 7)
    assert found["robustness.judge_wer_snr5"].value == pytest.approx(3 / 4)
    assert found["robustness.judge_wer_clean"].n == 2


def test_the_suite_has_them_only_where_there_is_a_judge_of_callers() -> None:
    trials = [said("a green tea", "task/order/0")]
    assert "judge_wer_clean" not in figures("robustness", trials)
    assert figures("robustness", trials, listener=Ear("a green tea"))["judge_wer_clean"].value == 0


def test_a_call_without_words_says_nothing_of_its_line() -> None:
    assert word_errors([trial("order", suite="task", events=[event("turn", 1, 2)])], Ear("x")) == []  # type: ignore[arg-type]
