from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.evaluation.metrics.prosody import (
    contours,
    energy_correlation,
    f0_correlation,
    pause_f1,
    pearson,
    spearman,
    syllable_rate,
)
from tests.evaluation.metrics.made import event, figures, trial

RATE = 16_000


def glide(*hertz: float, seconds: float = 1.0, bumps: int = 4) -> np.ndarray:
    """A voice that glides through pitches, with `bumps` syllables."""
    count = round(seconds * RATE)
    time = np.arange(count) / RATE
    f0 = np.interp(time, np.linspace(0, seconds, len(hertz)), hertz)
    phase = 2 * np.pi * np.cumsum(f0) / RATE
    shape = 0.12 - 0.1 * np.cos(2 * np.pi * bumps * time / seconds)
    tones = sum(np.sin(k * phase) / k for k in range(1, 6))
    return (shape * tones).astype(np.float32)


def test_a_copy_is_alike_and_a_mirrored_melody_is_not() -> None:
    up, down = contours(glide(110, 180)), contours(glide(180, 110))
    assert up is not None
    assert down is not None
    assert f0_correlation(up, up) == pytest.approx(1.0)
    assert (f0_correlation(up, down) or 0) < -0.9
    assert energy_correlation(up, up) == pytest.approx(1.0)


def test_the_same_melody_slower_and_higher_is_alike() -> None:
    a, b = contours(glide(110, 180, 120)), contours(glide(143, 234, 156, seconds=1.5))
    assert a is not None
    assert b is not None
    assert (f0_correlation(a, b) or 0) > 0.9


def test_silence_has_no_contours_and_a_monotone_no_correlation() -> None:
    assert contours(np.zeros(RATE, np.float32)) is None
    assert contours(np.zeros(0, np.float32)) is None
    assert pearson(np.ones(20), np.arange(20.0)) is None


def test_syllables_are_peaks_of_loudness() -> None:
    for bumps in (3, 6):
        found = contours(glide(120, 130, seconds=1.5, bumps=bumps))
        assert found is not None
        assert syllable_rate(found) * found.seconds == pytest.approx(bumps, abs=1)


def test_pauses_match_where_they_overlap() -> None:
    silence = np.zeros(RATE // 2, np.float32)
    with_one = contours(np.concatenate([glide(120), silence, glide(120)]))
    with_two = contours(np.concatenate([glide(120), silence, glide(120), silence, glide(120)]))
    none = contours(glide(120, 120))
    assert with_one is not None
    assert with_two is not None
    assert none is not None
    assert pause_f1(with_one, with_one) == 1
    assert pause_f1(with_one, none) == 0
    assert pause_f1(none, none) is None
    assert 0 <= (pause_f1(with_one, with_two) or 0) < 1


@given(st.lists(st.tuples(st.integers(-9, 9), st.integers(-9, 9)), min_size=3, max_size=20))
def test_spearman_is_bounded_and_blind_to_monotone_changes(pairs: list[tuple[int, int]]) -> None:
    a, b = [float(x) for x, _ in pairs], [float(y) for _, y in pairs]
    found = spearman(a, b)
    if found is None:
        assert len(set(a)) == 1 or len(set(b)) == 1
        return
    assert -1 <= found <= 1
    assert spearman([x**3 for x in a], b) == pytest.approx(found)


def test_spearman_is_scipys() -> None:
    stats = pytest.importorskip("scipy.stats")
    a, b = [1.0, 2.0, 2.0, 5.0, 3.0], [2.0, 1.0, 4.0, 4.0, 9.0]
    assert spearman(a, b) == pytest.approx(float(stats.spearmanr(a, b).statistic))


def test_an_echo_preserves_prosody_and_the_anchors_are_named() -> None:
    trials = []
    for index, melody in enumerate([(110, 190), (190, 110), (120, 180, 120)]):
        said = glide(*melody, bumps=3 + index)
        sound = np.concatenate([np.zeros(3 * RATE, np.float32), said, np.zeros(RATE, np.float32)])
        made = trial(
            "pair", suite="tone", events=[event("turn", 1.0, 2.0)], sound=sound, name=f"{index}"
        )
        made.conversation.audio[1, RATE : RATE + len(said)] = said
        trials.append(made)
    found = figures("tone", trials)
    assert (found["prosody_f0"].value or 0) > 0.98
    assert (found["prosody_energy"].value or 0) > 0.98
    assert "a copy 1.00" in found["prosody_f0"].note
    assert float(found["prosody_f0"].note.split()[3].rstrip(",")) < 0.5
