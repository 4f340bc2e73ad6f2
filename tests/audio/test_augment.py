from __future__ import annotations

import sys
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon.audio import SAMPLE_RATE
from antiphon.audio.augment import (
    Augment,
    CallerLine,
    add_echo,
    caller_line,
    change_speed,
    draw_mask,
    filtering,
    kitchen,
    line,
    loudest_block,
    mix_at_snr,
    noise,
    packets,
    room,
    room_bank,
    spec_augment,
)
from antiphon.audio.augment.sudden import sudden
from antiphon.errors import AudioError

Rng = np.random.Generator


def rng(seed: int = 0) -> Rng:
    return np.random.default_rng(seed)


def speech(seconds: float = 2.0, seed: int = 0) -> np.ndarray:
    """Bursts of pink noise between silences: enough like speech for levels and gates."""
    count = int(seconds * SAMPLE_RATE)
    bursts = np.sin(2 * np.pi * 0.7 * np.arange(count) / SAMPLE_RATE) > 0
    return (noise.coloured(count, 1.0, rng(seed)) * bursts * 0.1).astype(np.float32)


# ------------------------------------------------------------------ the chain


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 20_000), st.floats(0, 1, allow_subnormal=False), st.integers(0, 2**32))
def test_the_line_keeps_length_type_and_range(count: int, strength: float, seed: int) -> None:
    x = speech(2.0)[:count]
    before = x.copy()
    y = CallerLine(strength, noises=[speech(0.5)], recordings=[speech(1.0)])(x, rng(seed))
    assert y.shape == x.shape
    assert y.dtype == np.float32
    assert np.isfinite(y).all()
    assert np.abs(y).max(initial=0) <= 1.0
    np.testing.assert_array_equal(x, before)


def test_the_same_seed_gives_the_same_line() -> None:
    chain: Augment = caller_line(1.0)
    for seed in range(5):
        np.testing.assert_array_equal(chain(speech(), rng(seed)), chain(speech(), rng(seed)))


def test_strength_zero_changes_nothing_and_more_changes_more() -> None:
    x = speech()
    np.testing.assert_array_equal(caller_line(0.0)(x, rng()), x)

    def damage(strength: float) -> float:
        changes = []
        for seed in range(40):
            y = caller_line(strength)(x, rng(seed))
            gain = np.dot(x, y) / (np.dot(y, y) + 1e-9)
            changes.append(min(1.0, float(np.mean((x - gain * y) ** 2) / np.mean(x**2))))
        return float(np.mean(changes))

    light, medium, heavy = damage(0.1), damage(0.5), damage(1.0)
    assert light < medium < heavy


def test_a_silent_caller_may_have_noise_but_never_a_shout() -> None:
    silent = np.zeros(SAMPLE_RATE, np.float32)
    loudness = [float(np.abs(caller_line(1.0)(silent, rng(seed))).max()) for seed in range(30)]
    assert max(loudness) > 1e-4
    assert np.median(loudness) < 0.3


def test_the_line_is_fast_enough_to_run_in_training() -> None:
    chain, x, draw = CallerLine(1.0, noises=[speech()]), speech(10.0), rng()
    chain(x, draw)  # makes the rooms
    start = time.process_time()
    for _ in range(10):
        chain(x, draw)
    assert (time.process_time() - start) / 100 < 0.02  # target .006 s a second, on a calm machine


def test_bad_settings_are_refused() -> None:
    with pytest.raises(AudioError, match="strength"):
        CallerLine(1.5)
    with pytest.raises(AudioError, match="one channel"):
        CallerLine(1.0)(np.zeros((2, 10), np.float32), rng())
    assert CallerLine(0.2).at(0.4).strength == 0.4


# ------------------------------------------------------------------ level and noise


@settings(max_examples=20, deadline=None)
@given(st.floats(-10, 40, allow_subnormal=False), st.integers(1000, 50_000))
def test_a_mix_has_the_ratio_that_was_asked_for(snr: float, count: int) -> None:
    clean = speech(1.0)
    added = mix_at_snr(clean, noise.coloured(count, 0.0, rng()), snr) - clean
    got = 10 * np.log10(loudest_block(clean) / loudest_block(added))
    assert abs(got - snr) < 0.1


def test_the_loudest_block_is_a_whole_block_of_2048() -> None:
    x = np.zeros(5000, np.float32)
    x[2048:4096] = 0.5
    x[4096:] = 9.0  # after the last whole block: does not count
    assert loudest_block(x) == pytest.approx(512.0)
    assert loudest_block(np.ones(10)) == pytest.approx(10.0)


def test_silence_cannot_be_mixed_at_a_ratio() -> None:
    for clean, other in ((np.zeros(4096), np.ones(4096)), (np.ones(4096), np.zeros(4096))):
        with pytest.raises(AudioError, match="silent"):
            mix_at_snr(clean, other, 10.0)
    with pytest.raises(AudioError, match="empty"):
        mix_at_snr(np.ones(10), np.zeros(0), 10.0)


@pytest.mark.parametrize(
    "make", [kitchen.clatter, kitchen.water, kitchen.appliance, noise.hum], ids=lambda f: f.__name__
)
@pytest.mark.parametrize("count", [1, 100, 30_000])
def test_generated_noise_has_its_length_and_is_finite(make: object, count: int) -> None:
    for seed in range(5):
        sound = make(count, rng(seed))  # type: ignore[operator]
        assert sound.shape == (count,)
        assert sound.dtype == np.float32
        assert np.isfinite(sound).all()


def test_struck_things_differ_and_fade() -> None:
    for strike in (kitchen.ring, kitchen.plate, kitchen.thud):
        first, second = strike(rng(1)), strike(rng(2))
        assert len(first) != len(second) or not np.allclose(first, second)
        assert np.abs(first[-50:]).max() < 0.2 * np.abs(first).max()


def test_coloured_noise_falls_by_its_slope() -> None:
    def fall(slope: float) -> float:
        power = np.abs(np.fft.rfft(noise.coloured(65536, slope, rng()))) ** 2
        return float(10 * np.log10(power[1000:2000].mean() / power[8000:16000].mean()))

    assert fall(0.0) == pytest.approx(0.0, abs=0.5)
    assert fall(1.0) == pytest.approx(9.0, abs=0.5)  # three octaves


def test_babble_and_recordings_fill_the_length() -> None:
    talkers = [speech(0.3, seed) for seed in range(3)]
    assert np.abs(noise.babble(SAMPLE_RATE * 5, talkers, 5, rng())).max() > 0
    assert noise.crop(50_000, speech(0.5), rng()).shape == (50_000,)
    loud = (talkers[0] * 32767).astype(np.int16)  # whole numbers must not wrap around
    np.testing.assert_allclose(
        noise.babble(5000, [loud], 1, rng()), noise.babble(5000, talkers[:1], 1, rng()), atol=0.1
    )
    with pytest.raises(AudioError, match="utterance"):
        noise.babble(100, [], 1, rng())
    with pytest.raises(AudioError, match="empty"):
        noise.crop(100, np.zeros(0, np.float32), rng())


# ------------------------------------------------------------------ rooms and responses


def test_rooms_do_not_delay_and_have_unit_energy() -> None:
    bank = room_bank()
    assert len(bank) == 60
    for response in bank:
        assert np.dot(response, response) == pytest.approx(1.0, abs=1e-3)
        assert response[0] > 0
        assert np.abs(response[0]) >= 0.5 * np.abs(response).max()


def test_the_bank_is_made_once_and_by_its_seed() -> None:
    assert room_bank(4, 1) is room_bank(4, 1)
    assert not np.array_equal(room_bank(4, 1)[1], room_bank(4, 2)[1])


def test_rooms_need_no_optional_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyroomacoustics", None)
    bank = room.room_bank.__wrapped__(4, 0)
    assert len(bank) == 4
    assert all(len(response) == room.LENGTH for response in bank)


def test_filtering_equals_convolution() -> None:
    x, response = speech(1.0), room_bank()[1]
    expected = np.convolve(x.astype(np.float64), response)[: len(x)]
    np.testing.assert_allclose(filtering.linear(x, response), expected, atol=1e-4)


def test_a_flat_response_changes_nothing() -> None:
    x = speech(1.0)
    flat = np.zeros(filtering.CURVE_POINTS, np.float32)
    np.testing.assert_allclose(filtering.linear(x, None, flat), x, atol=1e-5)
    np.testing.assert_allclose(filtering.linear(x, None, flat - 20), x / 10, atol=1e-5)


@given(st.integers(1, 2_000_000))
def test_a_fast_length_is_enough_and_not_wasteful(least: int) -> None:
    assert least <= filtering.fast_length(least) <= 1.3 * least + 1


# ------------------------------------------------------------------ the line's parts


def test_the_peak_is_set() -> None:
    assert np.abs(line.set_peak(speech(), -6.0)).max() == pytest.approx(10 ** (-6 / 20), rel=1e-3)
    assert not line.set_peak(np.zeros(100, np.float32), -6.0).any()


def test_overload_limits_and_gate_mutes_only_the_quiet() -> None:
    x = speech()
    assert np.abs(line.overload(x, rng())).max() < np.abs(x).max()
    hissing = x + rng().standard_normal(len(x)).astype(np.float32) * 1e-4
    gated = line.gate(hissing, rng())
    assert (gated == 0).mean() > 0.2
    loud = np.abs(x) > 0.1
    np.testing.assert_array_equal(gated[loud], hissing[loud])


def test_the_telephone_is_narrow_and_on_time() -> None:
    x = speech()
    y = line.telephone(x, rng())
    assert y.shape == x.shape
    spectrum = np.abs(np.fft.rfft(y))
    high = spectrum[len(spectrum) * 5 // 8 :]
    assert np.square(high).sum() < 1e-3 * np.square(spectrum).sum()
    lag = np.argmax(np.correlate(x[8000:12000], y[7900:12100], mode="valid")[::-1])
    assert lag == 100


@settings(max_examples=20, deadline=None)
@given(
    st.floats(0.01, 0.3, allow_subnormal=False),
    st.floats(1.0, 5.0, allow_subnormal=False),
    st.integers(0, 1000),
)
def test_losses_have_their_rate(rate: float, burst: float, seed: int) -> None:
    lost = packets.draw_losses(50_000, rate, burst, rng(seed))
    assert lost.shape == (50_000,)
    assert lost.mean() == pytest.approx(rate, rel=0.35)


def test_only_whole_packets_are_lost() -> None:
    x = np.ones(100 * packets.PACKET + 7, np.float32)
    y = packets.lose_packets(x, rng(3))
    changed = (y != x)[: 100 * packets.PACKET].reshape(100, packets.PACKET)
    assert (changed.all(axis=1) | ~changed.any(axis=1)).all()


# ------------------------------------------------------------------ echo, speed, masks


def test_an_echo_is_late_and_quieter_and_leaves_the_caller() -> None:
    agent = speech()
    caller = np.zeros_like(agent)
    for seed in range(10):
        heard = add_echo(caller, agent, rng(seed))
        assert heard.shape == caller.shape
        assert not heard[: int(0.02 * SAMPLE_RATE)].any()
        loss = 10 * np.log10(loudest_block(agent) / loudest_block(heard))
        assert 10 < loss < 48
    np.testing.assert_array_equal(add_echo(agent, caller, rng()), agent)
    with pytest.raises(AudioError, match="one length"):
        add_echo(caller, agent[:-1], rng())


@pytest.mark.parametrize("factor", [0.8, 0.97, 1.0, 1.19])
def test_speed_moves_time_by_its_factor(factor: float) -> None:
    x = np.zeros(SAMPLE_RATE, np.float32)
    x[8000:8100] = np.hanning(100)
    y = change_speed(x, factor)
    assert len(y) == round(len(x) / factor)
    assert abs(int(y.argmax()) - 8050 / factor) < 3


def test_an_impossible_speed_is_refused() -> None:
    with pytest.raises(AudioError, match="speed"):
        change_speed(np.zeros(10), 0.0)


@given(st.integers(0, 400), st.floats(0, 1, allow_subnormal=False), st.integers(0, 1000))
def test_masks_are_whole_bands_and_gaps(frames: int, strength: float, seed: int) -> None:
    mask = draw_mask(frames, 80, rng(seed), strength)
    assert mask.shape == (frames, 80)
    if frames:
        bands, gaps = mask.all(axis=0), mask.all(axis=1)
        np.testing.assert_array_equal(mask, bands[None] | gaps[:, None])
        assert bands.sum() <= 28 or gaps.all()


def test_masked_features_take_the_mean() -> None:
    features = rng().standard_normal((200, 80)).astype(np.float32)
    out = spec_augment(features, rng(1))
    changed = out != features
    assert changed.any()
    np.testing.assert_allclose(out[changed], features.mean(), atol=1e-6)
    assert spec_augment(np.zeros((0, 80), np.float32), rng()).shape == (0, 80)


def test_sudden_sounds_come_and_go_and_are_never_the_same() -> None:
    first = sudden(16_000 * 20, np.random.default_rng(1))
    again = sudden(16_000 * 20, np.random.default_rng(1))
    other = sudden(16_000 * 20, np.random.default_rng(2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    loud = np.abs(first.reshape(-1, 800)).max(axis=1) > 0.05
    assert 0.01 < loud.mean() < 0.7
    assert np.isfinite(first).all()


@pytest.mark.parametrize("length", [1, 100, 5_000])
def test_sudden_sounds_fit_a_recording_of_any_length(length: int) -> None:
    assert sudden(length, np.random.default_rng(0)).shape == (length,)
