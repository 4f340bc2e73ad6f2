from __future__ import annotations

import random
import shutil
from collections.abc import Iterator

import numpy as np
import pytest

from antiphon.corpus.voices import GROUPS, Voices, festival
from antiphon.corpus.voices.espeak import HELD_OUT_ACCENT, HELD_OUT_VARIANTS
from antiphon.corpus.voices.festival import Festival
from antiphon.errors import VoiceError

pytestmark = pytest.mark.skipif(
    not (shutil.which("flite") and shutil.which("festival") and shutil.which("espeak-ng")),
    reason="the speech engines are not installed",
)

NAMES = [
    "festival:slt-hts",
    "flite:rms",
    "flite:kal16",
    "festival:ked_diphone",
    "espeak:en-us+m3",
    "espeak:en-gb+klatt2",
    "pico:en-US",
    "pico:en-GB",
]
TEXT = "can i get a latte, with a lot of the milk please"


@pytest.fixture(scope="module")
def voices() -> Iterator[Voices]:
    with Voices() as made:
        yield made


@pytest.mark.parametrize("name", NAMES)
def test_every_word_gets_its_time_and_sounds(voices: Voices, name: str) -> None:
    speech = voices.named(name).speak(TEXT, random.Random(1))
    assert [word for word, _, _ in speech.words] == TEXT.replace(",", "").split()
    times = [time for _, start, end in speech.words for time in (start, end)]
    assert times == sorted(times)
    assert 0 <= speech.start < speech.end <= len(speech.samples) / 16_000
    loud = np.square(speech.samples).mean()
    for _, start, end in speech.words:
        span = speech.samples[round(start * 16_000) : round(end * 16_000)]
        assert np.square(span).mean() > loud / 300


@pytest.mark.parametrize("name", NAMES)
def test_nothing_said_before_changes_how_it_sounds(name: str) -> None:
    with Voices() as fresh:
        once = fresh.named(name).speak(TEXT, random.Random(1))
    with Voices() as used:
        used.named(name).speak("good morning", random.Random(7))
        used.named("festival:ked_diphone").speak("hello there", random.Random(8))
        again = used.named(name).speak(TEXT, random.Random(1))
    assert np.array_equal(once.samples, again.samples)
    assert once.words == again.words


def test_tone_changes_a_caller(voices: Voices) -> None:
    said = {
        tone: voices.named("flite:slt").speak(TEXT, random.Random(1), tone)
        for tone in ("neutral", "hesitant", "annoyed")
    }
    lengths = {tone: speech.end - speech.start for tone, speech in said.items()}
    assert lengths["annoyed"] < lengths["neutral"] < lengths["hesitant"]


def test_groups_share_no_speaker(voices: Voices) -> None:
    rng = random.Random(0)
    train = {voices.caller("train", rng).name for _ in range(400)}
    test = {voices.caller("test", rng).name for _ in range(400)}
    assert not train & test
    held_out = (HELD_OUT_ACCENT, "kal", *(f"+{variant}" for variant in HELD_OUT_VARIANTS))
    assert not [name for name in train if any(part in name for part in held_out)]
    assert all(any(part in name for part in held_out) for name in test)
    assert GROUPS["train"]["espeak"] <= 0.2


def test_an_unknown_voice_is_refused(voices: Voices) -> None:
    for name in ("flite:nobody", "espeak:en-us+nobody", "nobody"):
        with pytest.raises(VoiceError, match="no voice"):
            voices.named(name)


def test_a_missing_engine_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(VoiceError, match="apt-get install festival"), Festival() as engine:
        engine.say("ked_diphone", "hello", "", natural_breaks=False)


def test_a_missing_voice_names_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(festival.PACKAGES, "no_such_voice", "festvox-none")
    with Festival() as engine:
        with pytest.raises(VoiceError, match="apt-get install festvox-none"):
            engine.say("no_such_voice", "hello", "", natural_breaks=False)
        _, rate, tokens = engine.say("ked_diphone", "hello", "", natural_breaks=False)
        assert rate == 16_000
        assert [token for token, _, _ in tokens] == ["hello"]
