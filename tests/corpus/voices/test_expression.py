"""What a mood does to a voice: each of its signs is in the sound, and the words stay in time."""

from __future__ import annotations

import random

import numpy as np
import pytest

from antiphon.audio import SAMPLE_RATE
from antiphon.corpus.voices.expression import bent, breathed, expressed, roughened
from antiphon.corpus.voices.manner import AS_MADE, Manner
from antiphon.corpus.voices.speech import Speech


def tone(seconds: float = 2.0, hertz: float = 200.0) -> Speech:
    """Two words of a steady tone, a fifth of a second of silence before and after them."""
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    samples = (0.1 * np.sin(2 * np.pi * hertz * time)).astype(np.float32)
    start, middle, end = 0.2, seconds / 2, seconds - 0.2
    samples[: round(start * SAMPLE_RATE)] = 0
    samples[round(end * SAMPLE_RATE) :] = 0
    return Speech(samples, (("one", start, middle), ("two", middle, end)), start, end)


def hertz_at(speech: Speech, seconds: float, width: float = 0.1) -> float:
    at, half = round(seconds * SAMPLE_RATE), round(width / 2 * SAMPLE_RATE)
    cut = speech.samples[at - half : at + half]
    power = np.abs(np.fft.rfft(cut * np.hanning(len(cut)), 1 << 16))
    return float(power.argmax() * SAMPLE_RATE / (1 << 16))


def semitones(a: float, b: float) -> float:
    return float(12 * np.log2(b / a))


@pytest.mark.parametrize("bend", [4.0, -3.0])
def test_a_bend_moves_the_pitch_from_the_first_word_to_the_last(bend: float) -> None:
    there = bent(tone(), bend, 0.0)
    first = hertz_at(there, there.start + 0.1)
    last = hertz_at(there, there.end - 0.1)
    assert semitones(first, last) == pytest.approx(bend * (1.4 / 1.6), abs=0.35)
    assert hertz_at(there, (there.start + there.end) / 2) == pytest.approx(200, rel=0.03)


def test_a_lilt_raises_the_middle_of_each_word() -> None:
    there = bent(tone(), 0.0, 4.0)
    for _, start, end in there.words:
        edge, middle = hertz_at(there, start + 0.05), hertz_at(there, (start + end) / 2)
        assert semitones(edge, middle) == pytest.approx(4.0, abs=0.7)


def test_words_are_where_their_sound_has_moved() -> None:
    plain = tone()
    there = bent(plain, 6.0, 3.0)
    loud = np.flatnonzero(np.abs(there.samples) > 0.01) / SAMPLE_RATE
    assert there.words[0][1] == pytest.approx(loud[0], abs=0.01)
    assert there.words[-1][2] == pytest.approx(loud[-1], abs=0.01)
    assert (there.start, there.end) == (there.words[0][1], there.words[-1][2])
    assert there.words[0][2] == there.words[1][1]
    # A glide up is slow at first and fast at its end; as a whole it takes about as long.
    assert there.end - there.start == pytest.approx(plain.end - plain.start, rel=0.05)


def test_roughness_is_a_movement_of_the_loudness_between_30_and_45_hertz() -> None:
    there = roughened(tone().samples, 0.5, np.random.default_rng(0))
    level = np.abs(there[4_000:28_000]).reshape(-1, 40).max(axis=1)  # 400 Hz
    moves = np.abs(np.fft.rfft(level - level.mean())) ** 2
    hertz = np.fft.rfftfreq(len(level), 40 / SAMPLE_RATE)
    assert moves[(hertz > 25) & (hertz < 50)].sum() > 0.9 * moves[hertz < 100].sum()
    assert level.max() / level.min() == pytest.approx(3.0, rel=0.15)


def test_breath_is_bright_and_follows_the_voice() -> None:
    plain = tone().samples
    breath = breathed(plain, 0.4, np.random.default_rng(0)) - plain
    assert np.abs(breath[:2_000]).max() < 1e-6  # none where there is no voice
    inside = breath[8_000:24_000]
    assert np.std(inside) == pytest.approx(0.4 * np.std(plain[8_000:24_000]), rel=0.05)
    power = np.abs(np.fft.rfft(inside)) ** 2
    hertz = np.fft.rfftfreq(len(inside), 1 / SAMPLE_RATE)
    assert power[hertz > 4_000].sum() > 3 * power[hertz < 4_000].sum()


def test_halts_are_silences_between_words_and_move_the_rest_on() -> None:
    plain = tone()
    there = expressed(plain, Manner(halting=1.0), random.Random(0))
    longer = (len(there.samples) - len(plain.samples)) / SAMPLE_RATE
    assert 0.08 <= longer <= 0.2
    assert there.end == pytest.approx(plain.end + longer, abs=1e-6)
    assert there.words[1][1] - there.words[0][2] >= longer
    quiet = (np.abs(there.samples) == 0).astype(int)
    inside = quiet[round(there.start * SAMPLE_RATE) + 200 : round(there.end * SAMPLE_RATE) - 200]
    assert inside.sum() / SAMPLE_RATE == pytest.approx(longer, abs=0.005)


def test_nothing_happens_to_a_voice_as_it_was_made() -> None:
    plain = tone()
    there = expressed(plain, AS_MADE, random.Random(0))
    assert np.array_equal(there.samples, plain.samples)
    assert there.words == plain.words


def test_the_same_generator_gives_the_same_speech() -> None:
    manner = Manner(bend=3.0, laugh=0.4, rough=0.5, breath=0.3, halting=0.5)
    first, again = (expressed(tone(), manner, random.Random(5)) for _ in range(2))
    assert np.array_equal(first.samples, again.samples)
    assert first.words == again.words


@pytest.mark.parametrize(
    ("mood", "signs", "bends"),
    [
        ("neutral", set[str](), 0),
        ("annoyed", {"rough"}, -1),
        ("hesitant", {"breath", "halting"}, -1),
        ("cheerful", {"lilt", "laugh"}, 1),
    ],
)
def test_every_mood_has_signs_of_its_own(mood: str, signs: set[str], bends: int) -> None:
    drawn = [Manner().varied(random.Random(seed), mood) for seed in range(40)]
    for name in ("lilt", "laugh", "rough", "breath", "halting"):
        assert all((getattr(manner, name) > 0) == (name in signs) for manner in drawn), name
    mean = float(np.mean([manner.bend for manner in drawn]))
    assert (abs(mean) > 0.5) == bool(bends)
    assert mean * bends >= 0
