from __future__ import annotations

import numpy as np
import pytest

from antiphon.runtime.latency import first_audible, frame_costs, replies, speech_end

RATE = 16_000


def tone(*spans: tuple[float, float], length: float, level: float = 0.3) -> np.ndarray:
    out = np.zeros(round(length * RATE), dtype=np.float32)
    for start, end in spans:
        out[round(start * RATE) : round(end * RATE)] = level
    return out


def test_speech_ends_where_the_energy_does() -> None:
    noise = np.random.default_rng(0).normal(0, 0.003, 4 * RATE).astype(np.float32)
    assert speech_end(tone((0.5, 2.5), length=4) + noise) == pytest.approx(2.5, abs=0.05)


def test_a_click_is_no_speech() -> None:
    assert speech_end(tone((0.5, 2.0), (3.0, 3.02), length=4)) == pytest.approx(2.0, abs=0.05)


@pytest.mark.parametrize("samples", [0, 1, 100, RATE])
def test_silence_has_no_end_of_speech(samples: int) -> None:
    assert speech_end(np.zeros(samples, dtype=np.float32)) is None


def test_short_silences_stay_inside_a_reply() -> None:
    audio = tone((0.5, 1.0), (1.2, 1.5), (3.0, 3.5), length=4)
    assert np.allclose(replies(audio), [(0.5, 1.5), (3.0, 3.5)])


def test_the_frame_and_the_process_time_count() -> None:
    audio = tone((2.0, 3.0), length=4)
    assert first_audible(audio, 1.5) == pytest.approx(0.58)
    assert first_audible(audio, 1.5, process=0.01) == pytest.approx(0.59)


def test_an_early_answer_is_negative_and_an_old_one_no_answer() -> None:
    audio = tone((0.2, 0.4), (2.0, 3.0), length=4)
    assert first_audible(audio, 2.5) == pytest.approx(-0.42)
    assert first_audible(audio, 3.5) is None


def test_costs_of_frames() -> None:
    p50, p99, factor, late = frame_costs([0.01] * 99 + [0.1])
    assert p50 == pytest.approx(10)
    assert p99 > 10
    assert factor == pytest.approx((0.99 + 0.1) / 100 / 0.08)
    assert late == 1
    assert frame_costs([]) == (0.0, 0.0, 0.0, 0)
