"""One voice passes; NaN, full scale, a stuck frame, noise and a strange voice do not."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest

from antiphon.guard.config import SoundRules
from antiphon.guard.sound import Fault, SoundWatch, VoicePrint, periodicity
from tests.guard.talk import FRAME, RATE, noise, tone


def voice(hz: float, seconds: float = 2.0) -> np.ndarray:
    time = np.arange(round(seconds * RATE)) / RATE
    wave = sum(np.sin(2 * np.pi * hz * k * time) / k for k in range(1, 8))
    return (0.15 * (1 + 0.2 * np.sin(19 * time)) * wave).astype(np.float32)


def watch(samples: np.ndarray, print_: VoicePrint | None = None) -> list[Fault]:
    guard, found = SoundWatch(SoundRules(), print_), list[Fault]()
    for at in range(0, len(samples) - FRAME + 1, FRAME):
        found += guard.push(samples[at : at + FRAME])[1]
    return found


def kinds(faults: Iterable[Fault]) -> set[str]:
    return {fault.kind for fault in faults}


@pytest.mark.parametrize("hz", [90, 140, 200, 260])
def test_a_voice_at_any_pitch_passes(hz: float) -> None:
    assert not watch(voice(hz))


def test_a_voice_is_periodic_and_a_whisper_is_not() -> None:
    assert periodicity(voice(200)) > 0.9
    assert periodicity(noise(RATE)) < 0.6
    assert periodicity(np.zeros(RATE, dtype=np.float32)) == 0.0


def test_silence_passes() -> None:
    assert not watch(np.zeros(RATE, dtype=np.float32))


def test_short_hisses_in_a_voice_pass() -> None:
    mixed = voice(200, 3.0)
    for start in range(0, 40_000, 8_000):
        mixed[start : start + 1_600] = noise(1_600) * 0.3
    assert not watch(mixed)


def test_noise_is_told_from_its_first_sample_on() -> None:
    sound = np.concatenate((voice(200)[: 10 * FRAME], noise(RATE)))
    fault = watch(sound)[0]
    assert fault.kind == "noise"
    assert abs(fault.at - 10 * FRAME) <= 2 * FRAME


def test_many_voices_at_once_are_told() -> None:
    rng = np.random.default_rng(1)
    babble = np.zeros(2 * RATE, dtype=np.float32)
    for _ in range(7):
        time = np.arange(2 * RATE) / RATE
        glide = rng.uniform(90, 260) * (1 + 0.1 * np.sin(2 * np.pi * rng.uniform(1, 4) * time))
        phase = 2 * np.pi * np.cumsum(glide) / RATE
        babble += sum(np.sin(k * phase + rng.uniform(0, 6)) for k in range(1, 12)).astype(
            np.float32
        )
    assert "noise" in kinds(watch(babble * 0.02))


def test_nan_is_played_as_silence() -> None:
    frame = np.full(FRAME, np.nan, dtype=np.float32)
    played, faults = SoundWatch(SoundRules()).push(frame)
    assert not played.any()
    assert kinds(faults) == {"nan"}


def test_full_scale_and_a_stuck_frame_are_told() -> None:
    assert "clipping" in kinds(watch(np.clip(voice(200) * 20, -1, 1)))
    frame = voice(187.3)[:FRAME]
    faults = watch(np.concatenate([voice(200)[: 5 * FRAME], *[frame] * 5]))
    assert faults[0].kind == "stuck"
    assert faults[0].at == 5 * FRAME


def test_somebody_elses_voice_is_told() -> None:
    own = VoicePrint.of([tone(2 * RATE)])
    assert own is not None
    assert own.lowest < 190 < own.highest
    assert not watch(voice(190), own)
    assert kinds(watch(voice(95), own)) == {"stranger"}
    assert VoicePrint.of([np.zeros(RATE, dtype=np.float32)]) is None


def test_a_long_faint_sibilant_after_a_voice_passes() -> None:
    rng = np.random.default_rng(2)
    hiss = (0.02 * rng.standard_normal(8_000)).astype(np.float32)
    assert "noise" in kinds(watch(np.tile(hiss, 3)))  # alone it is a fault
    assert not watch(np.concatenate((voice(200, 1.0), hiss, voice(200, 1.0))))


def test_a_sibilant_before_any_voice_passes_where_the_voice_is_known() -> None:
    hiss = 0.35 * np.std(voice(180)) / np.std(noise(RATE)) * noise(round(0.5 * RATE))
    sorry = np.concatenate((hiss.astype(np.float32) * 0.6, voice(180)))
    assert kinds(watch(sorry)) == {"noise"}
    own = VoicePrint.of([voice(180)])
    assert not watch(sorry, own)
    loud = (np.std(voice(180)) / np.std(noise(RATE)) * noise(RATE)).astype(np.float32)
    assert kinds(watch(loud, own)) == {"noise"}
