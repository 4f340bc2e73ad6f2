from __future__ import annotations

import random
import shutil

import numpy as np
import pytest

from antiphon.corpus.voices import Manner, Voices
from antiphon.corpus.voices.forced import carried_over

TEXT = "can i get a large latte, with a bit of almond milk please"
RATE = 16_000


@pytest.mark.skipif(not shutil.which("flite"), reason="the speech engines are not installed")
def test_times_of_another_voice_are_found_within_a_frame() -> None:
    with Voices() as voices:
        one = voices.named("flite:slt").speak(TEXT, random.Random(1))
        other = voices.named("flite:rms", Manner(stretch=1.2)).speak(TEXT, random.Random(2))
    found = carried_over(other.samples, RATE, one.samples, RATE, one.words)
    off = [
        abs(a - b)
        for (_, *mine), (_, *true) in zip(found, other.words, strict=True)
        for a, b in zip(mine, true, strict=True)
    ]
    assert float(np.mean(off)) < 0.03
    assert max(off) < 0.12


def test_a_recording_beside_itself_keeps_its_times() -> None:
    rng = np.random.default_rng(3)
    loud = np.repeat(rng.uniform(0.0, 0.3, 40), 800)
    samples = (rng.standard_normal(len(loud)) * loud).astype(np.float32)
    times = [("a", 0.2, 0.5), ("b", 0.5, 1.1), ("c", 1.3, 1.9)]
    for (_, *given), (_, *got) in zip(
        times, carried_over(samples, RATE, samples, RATE, times), strict=True
    ):
        assert got == pytest.approx(given, abs=0.011)


def test_words_keep_their_order_and_lie_within_the_sound() -> None:
    rng = np.random.default_rng(4)
    one = rng.standard_normal(RATE).astype(np.float32)
    other = rng.standard_normal(2 * RATE).astype(np.float32)
    found = carried_over(
        one, RATE, other, RATE, [("a", 0.0, 0.9), ("b", 0.9, 1.6), ("c", 1.6, 2.0)]
    )
    flat = [time for _, start, end in found for time in (start, end)]
    assert flat == sorted(flat)
    assert 0.0 <= flat[0] <= flat[-1] <= 1.03
