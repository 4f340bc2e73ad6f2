from __future__ import annotations

import random
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from antiphon.cascade import Cascade, Settings
from antiphon.cascade.pronounce import PHONES, dictionary, from_ipa
from antiphon.cascade.turns import SECONDS, Activity
from antiphon.cascade.vad import Vad
from antiphon.cascade.voice import PackagedEspeak, open_voice
from antiphon.corpus.scenario import Scenario
from antiphon.errors import AntiphonError
from antiphon.runtime.latency import replies


@pytest.fixture(scope="module")
def cascade(bar: Scenario) -> Cascade:
    return Cascade(bar, voice="espeak")


def said(text: str) -> np.ndarray:
    samples = PackagedEspeak(speed=140).speak(text, random.Random(0)).samples
    return np.concatenate((np.zeros(8000, np.float32), samples, np.zeros(8000, np.float32)))


def test_a_spoken_order_is_heard_and_answered(cascade: Cascade) -> None:
    answer = cascade.answer(said("give me a large latte with cream"))
    assert answer.caller_text == "give me a large latte with cream"
    assert answer.order == {"items": [{"size": "large", "drink": "latte", "milk": "cream"}]}
    assert answer.agent_text == "okay a large latte with cream"
    assert answer.reply_to(answer.calls[0]) == answer.agent_text
    assert answer.latency_ms.first_audible is not None
    assert 600 < answer.latency_ms.first_audible < 1000
    assert len(replies(answer.audio)) >= 1


def test_the_same_call_twice_is_the_same(cascade: Cascade) -> None:
    one, two = (cascade.answer(said("give me a mocha")) for _ in range(2))
    assert one.events == two.events
    assert np.array_equal(one.audio, two.audio)
    assert one.order == {"items": [{"drink": "mocha"}]}


def test_other_speech_is_no_order(cascade: Cascade) -> None:
    answer = cascade.answer(said("the weather in the mountains was beautiful yesterday"))
    assert answer.order is None
    assert answer.agent_text == "sorry i can only help with orders"


def test_sessions_that_overlap_have_recognisers_of_their_own(cascade: Cascade) -> None:
    tick = np.zeros(320, np.float32)
    with cascade.session() as one, cascade.session() as two:
        one.push(tick)
        two.push(tick)
        assert one._recogniser is not two._recogniser


def test_voice_activity_follows_speech() -> None:
    vad, speech = Vad(), said("give me a large latte with cream")
    found = np.array([p for i in range(0, len(speech), 320) for p in vad.push(speech[i : i + 320])])
    assert len(found) == len(speech) // 512
    assert found[:12].max() < 0.3
    assert np.median(found[20:-20]) > 0.8
    assert Vad().push(speech) == pytest.approx(found, abs=1e-5)


def test_an_onset_is_where_the_speech_began() -> None:
    activity = Activity(threshold=0.5, least=0.09)
    for probability in (0.0, 0.0, 0.9, 0.9):
        activity.push(probability)
    assert not activity.speaking
    activity.push(0.9)
    assert activity.speaking
    assert activity.onset == pytest.approx(2 * SECONDS)
    activity.push(0.0)
    assert activity.silence == pytest.approx(SECONDS)


@pytest.mark.parametrize(
    ("ipa", "phones"),
    [("smˈuːði", "S M UW DH IY"), ("tʃˈaɪ", "CH AY"), ("wˈɜːld", "W ER L D"), ("ɬ", "")],
)
def test_ipa_becomes_the_models_phones(ipa: str, phones: str) -> None:
    assert from_ipa(ipa) == phones
    assert set(phones.split()) <= set(PHONES)


def test_words_come_from_the_dictionary_or_are_made(cascade: Cascade, tmp_path) -> None:
    path = tmp_path / "dict"
    path.write_text("latte L AA T EY\nlatte(2) L AE T EY\n")
    found = dictionary({"latte", "smoothie"}, path)
    assert found == {"latte": ["L AA T EY", "L AE T EY"], "smoothie": ["S M UW DH IY"]}


def test_the_packaged_voice_times_its_words() -> None:
    speech = open_voice("espeak").speak("okay, a large latte.", random.Random(0))
    assert [word for word, _, _ in speech.words] == ["okay", "a", "large", "latte"]
    starts = [start for _, start, _ in speech.words]
    assert starts == sorted(starts)
    assert speech.words[-1][2] <= len(speech.samples) / 16_000


def test_settings_refuse_what_they_do_not_know() -> None:
    with pytest.raises(ValueError, match="patience"):
        Settings(pateince=1.0, patience="long")  # type: ignore[call-arg, arg-type]


def test_without_the_extra_the_import_says_what_to_install() -> None:
    program = """
        import importlib.util
        find = importlib.util.find_spec
        importlib.util.find_spec = lambda name: None if name == "pocketsphinx" else find(name)
        from antiphon.errors import AntiphonError
        try:
            import antiphon.cascade
        except AntiphonError as error:
            print(error)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=True
    )
    assert "pocketsphinx" in done.stdout
    assert "pip install 'antiphon[cascade]'" in done.stdout
    assert issubclass(AntiphonError, Exception)
