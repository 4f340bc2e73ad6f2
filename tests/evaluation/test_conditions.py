from __future__ import annotations

import numpy as np
import pytest

from antiphon.audio import SAMPLE_RATE
from antiphon.errors import AudioError
from antiphon.evaluation import conditions
from antiphon.evaluation.conditions import CONDITIONS, VOICE, effect
from antiphon.evaluation.noises import murmur
from antiphon.evaluation.protocol import SECONDS, TICK
from antiphon.evaluation.stimuli.collection import loudness

QUIET = np.zeros(TICK, np.float32)
CODECS = ("mulaw", "alaw", "gsm", "opus8k")


def ticks(samples: np.ndarray) -> list[np.ndarray]:
    return list(samples[: len(samples) // TICK * TICK].reshape(-1, TICK))


def through(name: str, caller: np.ndarray, seed: int = 1) -> np.ndarray:
    line = effect(name, seed)
    return np.concatenate([line(tick, QUIET) for tick in ticks(caller)])


def speech(seconds: float, seed: int = 5) -> np.ndarray:
    """Something with speech's spectrum and rhythm, at the loudness of the voices."""
    sound = murmur(round(seconds * SAMPLE_RATE), np.random.default_rng(seed), talkers=1)
    return (sound * np.float32(VOICE / loudness(sound))).astype(np.float32)


def db(ratio: float) -> float:
    return 20 * float(np.log10(ratio))


def rms(samples: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))


@pytest.fixture(autouse=True)
def _codecs(request: pytest.FixtureRequest) -> None:
    name = getattr(request.node, "callspec", None)
    if name is not None and name.params.get("name") in ("gsm", "opus8k"):
        pytest.importorskip("av")


@pytest.mark.parametrize("name", list(CONDITIONS))
def test_every_condition_is_the_same_for_a_seed_and_keeps_the_clock(name: str) -> None:
    caller = speech(1.0)
    heard = through(name, caller)
    assert heard.dtype == np.float32
    assert heard.shape == (len(caller) // TICK * TICK,)
    assert np.abs(heard).max() <= 1.0
    assert np.array_equal(heard, through(name, caller))


@pytest.mark.parametrize("name", list(CONDITIONS))
def test_the_delay_is_as_it_is_stated(name: str) -> None:
    caller = speech(3.0)
    heard = through(name, caller)
    size = 2 * len(heard)
    spectrum = np.fft.rfft(heard, size) * np.conj(np.fft.rfft(caller[: len(heard)], size))
    lag = int(np.argmax(np.fft.irfft(spectrum)[:4_000]))
    # The first reflections of a room move the peak of the correlation a little.
    slack = 0.002 if name == "room" else 0.001
    assert lag / SAMPLE_RATE == pytest.approx(CONDITIONS[name].delay, abs=slack)


@pytest.mark.parametrize("ratio", [20, 10, 5, 0])
def test_noise_stands_as_far_below_the_voice_as_the_name_says(ratio: int) -> None:
    noise = through(f"snr{ratio}", np.zeros(20 * SAMPLE_RATE, np.float32))
    caller = speech(20.0)
    assert db(loudness(caller) / rms(noise)) == pytest.approx(ratio, abs=1.0)


def test_noise_follows_the_loudness_of_a_recording_that_is_known() -> None:
    silence = np.zeros(2 * SAMPLE_RATE, np.float32)
    line, quieter = effect("snr5", 3), effect("snr5", 3, voice=VOICE / 2)
    loud = np.concatenate([line(tick, QUIET) for tick in ticks(silence)])
    quiet = np.concatenate([quieter(tick, QUIET) for tick in ticks(silence)])
    assert db(rms(loud) / rms(quiet)) == pytest.approx(6.02, abs=0.05)


def test_noise_is_there_before_the_first_word() -> None:
    assert rms(through("snr5", np.zeros(TICK, np.float32))) > 0


@pytest.mark.parametrize("name", CODECS)
def test_a_telephone_passes_speech_and_nothing_above_four_kilohertz(name: str) -> None:
    caller = speech(2.0)
    hertz = np.fft.rfftfreq(len(caller), 1 / SAMPLE_RATE)
    white = (np.random.default_rng(0).standard_normal(len(caller)) * 0.05).astype(np.float32)
    heard = np.abs(np.fft.rfft(through(name, white)))
    assert db(rms(heard[hertz > 4_500]) / rms(heard[(hertz > 500) & (hertz < 3_000)])) < -40
    passed = np.abs(np.fft.rfft(through(name, caller)))
    before = np.abs(np.fft.rfft(caller))
    band = (hertz > 400) & (hertz < 2_500)
    assert db(rms(passed[band]) / rms(before[band])) == pytest.approx(0.0, abs=2.0)


@pytest.mark.parametrize(("name", "least", "most"), [("gsm", 3, 20), ("mulaw", 25, 45)])
def test_codecs_cost_as_much_fidelity_as_they_are_known_to(
    name: str, least: float, most: float
) -> None:
    # A band-limited tone complex, so that what differs is the codec and not the band.
    time = np.arange(2 * SAMPLE_RATE) / SAMPLE_RATE
    caller = sum(0.03 * np.sin(2 * np.pi * f * time) for f in (310, 720, 1_180)).astype(np.float32)
    heard = through(name, caller)[64:]
    caller = caller[: len(heard)]
    error = rms((heard - caller)[SAMPLE_RATE // 2 :])
    assert least < db(rms(caller) / error) < most


@pytest.mark.parametrize(("name", "rate"), [("loss1", 0.01), ("loss5", 0.05), ("loss20", 0.2)])
def test_as_many_packets_are_lost_as_the_name_says_and_in_bursts(name: str, rate: float) -> None:
    shares, runs = [], []
    for seed in range(4):
        line = effect(name, seed)
        assert isinstance(line, conditions.Losses)
        shares.append(line.lost.mean())
        edges = np.flatnonzero(np.diff(np.concatenate(([0], line.lost.astype(int), [0]))))
        runs.append((edges[1::2] - edges[::2]).mean())
    assert np.mean(shares) == pytest.approx(rate, rel=0.15)
    assert np.mean(runs) > 1.3


def test_a_lost_packet_is_the_last_one_again_and_a_long_gap_fades_to_nothing() -> None:
    line = conditions.Losses(np.random.default_rng(0), 0.05, 2.0)
    line.lost = np.array([False, True, True, *[True] * 30, False])
    packets = [np.full(TICK, 0.1 + i / 100, np.float32) for i in range(len(line.lost))]
    heard = [line(packet, QUIET) for packet in packets]
    assert np.array_equal(heard[0], packets[0])
    assert heard[1] == pytest.approx(0.6 * packets[0])
    assert heard[2] == pytest.approx(0.36 * packets[0])
    assert not heard[-2].any()
    assert np.array_equal(heard[-1], packets[-1])


def test_gain_is_exact_and_clips_at_full_scale() -> None:
    caller = speech(1.0)
    whole = caller[: len(caller) // TICK * TICK]
    assert db(rms(through("gain-24", caller)) / rms(whole)) == pytest.approx(-24, abs=0.01)
    loud = through("gain+15", caller * 4)
    assert np.abs(loud).max() == 1.0
    soft = through("gain+15", caller * 0.05)
    assert db(rms(soft) / rms(whole * 0.05)) == pytest.approx(15, abs=0.01)


@pytest.mark.parametrize(
    ("name", "level", "late"),
    [
        ("echo-30", -30, 0.12),
        ("echo-6", -6, 0.12),
        ("echo-18-near", -18, 0.02),
        ("echo-18-late", -18, 0.35),
    ],
)
def test_the_agent_comes_back_as_loud_and_as_late_as_the_name_says(
    name: str, level: float, late: float
) -> None:
    rng = np.random.default_rng(2)
    agent = (rng.standard_normal(6 * SAMPLE_RATE) * 0.1).astype(np.float32)
    line = effect(name, 4)
    heard = np.concatenate([line(QUIET, tick) for tick in ticks(agent)])
    settled = heard[SAMPLE_RATE:]
    assert db(rms(settled) / rms(agent)) == pytest.approx(level, abs=1.0)
    first = int(np.flatnonzero(np.abs(heard) > 1e-6)[0])
    assert first / SAMPLE_RATE == pytest.approx(late, abs=SECONDS / 10)


def test_an_echo_leaves_the_caller_as_they_are() -> None:
    caller = speech(1.0)
    assert np.array_equal(through("echo-6", caller), caller[: len(caller) // TICK * TICK])


def test_a_room_keeps_the_direct_sound_in_place_and_rings_on() -> None:
    click = np.zeros(10 * TICK, np.float32)
    click[5] = 0.5
    heard = through("room", click)
    assert int(np.argmax(np.abs(heard))) == 5
    assert np.abs(heard[TICK * 2 : TICK * 5]).max() > 1e-5
    assert rms(heard) == pytest.approx(rms(click), rel=0.05)


def test_an_unknown_condition_is_named_with_those_that_are_there() -> None:
    with pytest.raises(AudioError, match='no condition "snr3"; there is clean, snr20'):
        effect("snr3", 0)
