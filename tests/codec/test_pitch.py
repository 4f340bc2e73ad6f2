from __future__ import annotations

from collections.abc import Callable

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon.codec import pitch

Vowel = Callable[..., np.ndarray]


def test_finds_the_pitch_of_a_vowel_within_a_quarter_tone(vowel: Vowel) -> None:
    for hertz in (90.0, 150.0, 240.0):
        f0 = pitch.track(vowel(hertz, 1.0))
        inside = f0[15:80]
        assert (inside > 0).mean() > 0.95
        cents = 1200 * np.abs(np.log2(inside[inside > 0] / hertz))
        assert np.median(cents) < 100  # the vowel glides by +- 84 cents


def test_silence_and_noise_are_unvoiced() -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32)
    assert (pitch.track(np.zeros(16_000, np.float32)) == 0).all()
    assert (pitch.track(noise) > 0).mean() < 0.1


def test_very_short_input_gives_no_or_few_values() -> None:
    for samples in (0, 1, 159, 160, 161):
        assert len(pitch.track(np.ones(samples, np.float32))) == samples // 160


@settings(max_examples=10, deadline=None)
@given(st.lists(st.integers(0, 3000), min_size=1, max_size=8))
def test_a_stream_cut_anywhere_equals_the_whole(vowel: Vowel, cuts: list[int]) -> None:
    samples = vowel(180, 1.0)
    whole = pitch.track(samples)
    state, out, at = pitch.initial_state(), [], 0
    for size in [*cuts, len(samples)]:
        values, state = pitch.push(samples[at : at + size], state)
        out.append(values)
        at += size
    streamed = np.concatenate(out)
    assert len(streamed) == (len(samples) - pitch.LOOK_AHEAD) // 160
    np.testing.assert_allclose(streamed, whole[: len(streamed)], rtol=1e-5)


def test_the_declared_look_ahead_is_all_it_hears(vowel: Vowel) -> None:
    samples = vowel(180, 1.0)
    changed = samples.copy()
    known = 50 * 160 + pitch.LOOK_AHEAD
    changed[known:] = 0.3
    np.testing.assert_array_equal(pitch.track(samples)[:50], pitch.track(changed)[:50])
