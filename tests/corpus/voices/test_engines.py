from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from antiphon.corpus.voices import GROUPS, Manner, Voices, festival, kokoro
from antiphon.corpus.voices.espeak import HELD_OUT_ACCENT, HELD_OUT_VARIANTS
from antiphon.corpus.voices.festival import Festival
from antiphon.corpus.voices.hibari import PEOPLE, body, vocabulary, warped
from antiphon.corpus.voices.phonemes import ACCENTS, phonemes
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
    "hibari:7",
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


def test_a_natural_voice_is_a_thousand_people(voices: Voices) -> None:
    said = [voices.named(f"hibari:{n}").speak("a latte please", random.Random(1)) for n in range(4)]
    assert len({speech.samples.tobytes() for speech in said}) == 4
    assert body(3) == body(3)
    people = [body(number) for number in range(PEOPLE)]
    assert {person.accent for person in people} == set(ACCENTS)
    low = [person for person in people if person.pitch < 0.7]
    assert len(low) > 300
    assert np.mean([p.mouth for p in low]) < np.mean([p.mouth for p in people])


def test_a_warped_spectrum_has_its_peaks_where_it_is_told() -> None:
    spectrum = np.zeros((601, 2), np.float32)  # 20 Hz a bin
    spectrum[25], spectrum[100] = 1.0, 1.0  # 500 Hz, 2 kHz
    moved = warped(spectrum, throat=0.8, mouth=1.1)
    assert list(np.argsort(moved[:, 0])[-2:]) in ([20, 110], [110, 20])


def test_an_accent_changes_as_much_as_it_is_strong() -> None:
    said = "the weather with vanilla"
    plain = phonemes(said, "us", 1.0, random.Random(1))
    assert phonemes(said, "de", 0.0, random.Random(1)) == plain
    strong = phonemes(said, "de", 1.0, random.Random(1))
    assert "θ" not in strong
    assert "w" not in strong
    assert strong.count("v") == plain.count("w") + plain.count("v")
    with pytest.raises(VoiceError, match="no sound"):
        phonemes("?", "us", 0.0, random.Random(1))


def test_kokoros_speakers_to_learn_from_are_not_those_to_measure_by(
    voices: Voices, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert not set(kokoro.SPEAKERS) & set(kokoro.HELD_OUT)
    rng = random.Random(0)
    learnt = {voices.caller("natural", rng).name for _ in range(300)}
    measured = {voices.caller("natural-test", rng).name for _ in range(100)}
    assert measured == {f"kokoro:{name}" for name in kokoro.HELD_OUT}
    assert not [name for name in learnt if any(part in name for part in kokoro.HELD_OUT)]
    assert any("+" in name for name in learnt)
    monkeypatch.setenv(kokoro.PLACE, str(tmp_path))
    kokoro.engine.cache_clear()
    with pytest.raises(VoiceError, match="make kokoro"):
        voices.named("kokoro:af_heart").speak("a latte please", rng)
    (tmp_path / "kokoro.onnx").write_bytes(b"cut off")
    (tmp_path / "voices.npz").write_bytes(b"cut off")
    with pytest.raises(VoiceError, match="is broken"):
        voices.named("kokoro:af_heart").speak("a latte please", rng)


def test_kokoros_network_is_asked_for_a_speaker_and_a_tempo(
    voices: Voices, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, np.ndarray]] = []

    class Session:
        def run(self, _: None, given: dict[str, np.ndarray]) -> list[np.ndarray]:
            asked.append(given)
            seconds = 1.2 / given["speed"][0]
            return [np.sin(np.arange(round(24_000 * seconds)) * 0.05).astype(np.float32)[None]]

    styles = {name: np.full(510 * 256, n, np.float32) for n, name in enumerate(kokoro.SPEAKERS)}
    monkeypatch.setattr(kokoro, "engine", lambda: (Session(), styles, vocabulary()))
    between = f"kokoro:{kokoro.SPEAKERS[2]}+{kokoro.SPEAKERS[5]}"
    slow = voices.named(between, Manner(stretch=1.5)).speak("a latte, please", random.Random(1))
    fast = voices.named(between, Manner(stretch=0.7)).speak("a latte, please", random.Random(1))
    assert [word for word, _, _ in slow.words] == ["a", "latte", "please"]
    assert (asked[0]["style"] == 3.5).all()
    assert asked[0]["tokens"][0, 0] == asked[0]["tokens"][0, -1] == 0
    assert len(slow.samples) > 1.5 * len(fast.samples)


def test_an_unknown_voice_is_refused(voices: Voices) -> None:
    strange = ("flite:nobody", "espeak:en-us+nobody", "nobody", "hibari:1000", "kokoro:nobody")
    for name in strange:
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
