from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from antiphon.evaluation.metrics.speech import drift
from antiphon.evaluation.trial import Trial
from tests.evaluation.fakes import Ear
from tests.evaluation.metrics.made import event, figures, measured, trial, voice, words

SAID = "okay a green tea"


def reply(text: str = SAID, **more: Any) -> Trial:
    more = {"agent": [(3.5, 5.5)], **more}
    return trial("order", suite="task", told=words(text, 3.5, 5.5), **more)


def test_what_is_said_as_written_does_not_diverge() -> None:
    found = figures("speech", [reply()], judge=Ear(SAID), judge_cer=0.01)
    assert (found["divergence"].value, found["exact"].value, found["agrees"].value) == (0, 1, 1)
    assert found["divergence"].valid
    assert found["judge_cer"].value == 0.01


def test_divergence_is_of_characters_over_all_that_was_written() -> None:
    trials = [reply(name="a"), reply(name="b")]
    found = figures("speech", trials, judge=Ear(SAID, "okay a keen tea"), judge_cer=0.01)
    assert found["divergence"].value == pytest.approx(2 / (2 * len(SAID)))
    assert found["exact"].value == 0.5
    verdicts = measured("speech", trials, judge=Ear(SAID, "okay a tea"), judge_cer=0.01).verdicts
    assert [v.ok for v in verdicts] == [True, False]
    assert "names something else" in verdicts[1].why


def test_what_rests_on_a_bad_judge_is_not_valid() -> None:
    bad = figures("speech", [reply()], judge=Ear(SAID), judge_cer=0.051)
    assert not bad["divergence"].valid
    assert not bad["exact"].valid
    assert not bad["judge_cer"].valid
    assert bad["pace"].valid
    assert bad["pace"].value == pytest.approx(60 * 4 / 2, rel=0.01)


def test_no_judge_and_no_words_are_no_figures() -> None:
    assert figures("speech", [reply()])["divergence"].value is None
    untold = trial("order", suite="task", agent=[(3.5, 5.5)])
    found = figures("speech", [untold], judge=Ear(SAID), judge_cer=0.01)
    assert (found["divergence"].value, found["divergence"].n) == (None, 0)
    assert found["pace"].value is None
    silent = measured("speech", [trial("order", suite="task")]).verdicts[0]
    assert (silent.ok, silent.why) == (None, "It said nothing.")


def test_a_reply_that_the_caller_broke_into_is_not_read_back() -> None:
    cut = reply(events=[event("turn", 4.0, 5.0)])
    found = figures("speech", [cut], judge=Ear("okay"), judge_cer=0.01)
    assert found["divergence"].n == 0
    assert found["dropouts"].n == 0


def test_clipping_and_naturalness_are_of_single_replies() -> None:
    loud = voice([(3.5, 5.5)], 10.0) * 5
    trials = [reply(name="a"), reply(name="b", sound=loud)]
    scores = {"p808": 3.5, "ovrl": 3.0}
    found = figures("speech", trials, natural=lambda _: scores, distill=lambda _: 4.2)
    assert (found["clipped"].value, found["clipped"].n) == (0.5, 2)
    assert (found["dnsmos_p808"].value, found["dnsmos_p808"].n) == (3.5, 2)
    assert found["distillmos"].value == 4.2


def test_a_voice_that_stays_drifts_less_than_one_that_changes() -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.1, 32_000).astype(np.float32)
    other = rng.normal(0, 0.1, 32_000).astype(np.float32)
    dull = np.convolve(other, np.ones(8) / 8, mode="same").astype(np.float32)
    same, changed = drift(noise, other), drift(noise, dull)
    assert same is not None
    assert changed is not None
    assert same < 0.5 < 3 < changed
    assert drift(noise, 0.3 * noise) == pytest.approx(0, abs=0.2)
    assert drift(noise, np.zeros(16_000, np.float32)) is None


def test_drift_needs_two_replies_and_four_seconds() -> None:
    short = reply(agent=[(1, 2), (4, 5)])
    long = reply(agent=[(1, 3.5), (5, 8)])
    assert figures("speech", [short])["drift"].n == 0
    assert figures("speech", [long])["drift"].value == pytest.approx(0, abs=0.3)
