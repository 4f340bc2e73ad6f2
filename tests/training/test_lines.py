"""The augmented line: some calls come over a good one."""

from __future__ import annotations

import numpy as np
import pytest

from antiphon.training import lines
from antiphon.training.lines import LineMel

VOICE = (0.1 * np.sin(2 * np.pi * 300 * np.arange(16_000) / 16_000)).astype(np.float32)
VOICE[:6_400] = 0


def above(share: float, monkeypatch: pytest.MonkeyPatch, level: float = 1.0) -> np.ndarray:
    """How far a voice is above its line, in nats of power, in 60 calls."""
    monkeypatch.setattr(lines, "_LIGHT", share)
    rng = np.random.default_rng(0)
    line = LineMel([rng.normal(0, 0.1, 16_000).astype(np.float32)])
    mel = line([VOICE] * 60, 16_000, level, rng, spectral_masks=False).numpy()
    return mel[:, 60:95].max(axis=2).mean(axis=1) - mel[:, 5:35].mean(axis=(1, 2))


def test_some_calls_come_over_a_good_line(monkeypatch: pytest.MonkeyPatch) -> None:
    none, some, all_of_them = (above(share, monkeypatch) for share in (0.0, lines._LIGHT, 1.0))
    assert np.mean(none > 12) < np.mean(some > 12) < np.mean(all_of_them > 12)
    assert np.percentile(some, 10) < 10  # and some do not


def test_at_no_strength_every_line_is_as_it_came(monkeypatch: pytest.MonkeyPatch) -> None:
    found = above(0.3, monkeypatch, level=0.0)
    assert np.ptp(found) < 2.5  # what is left is the warp of the filter bank
