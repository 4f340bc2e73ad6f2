from __future__ import annotations

import base64
import io
from itertools import pairwise

import numpy as np
import soundfile as sf
from hypothesis import given
from hypothesis import strategies as st

from antiphon.evaluation.figures import Verdict
from antiphon.evaluation.report.cases import case, outline, picture, small_sound
from antiphon.evaluation.report.choose import chosen
from antiphon.evaluation.report.model import Case
from antiphon.evaluation.trial import Costs
from tests.evaluation.report.made import trial


def test_a_case_tells_what_was_said_on_both_sides() -> None:
    found = case(trial(), "trials/a.flac")
    assert found.caller == "a large latte"
    assert found.heard == "latte"
    assert found.agent.endswith("coming up")
    assert found.calls == ('place_order({"items": [{"drink": "latte"}]})',)
    assert found.told["agent_word"] == 5
    assert found.ok is None


def test_the_outline_is_a_byte_for_every_20_ms_and_follows_the_level() -> None:
    samples = np.zeros(16_000, dtype=np.float32)
    samples[8_000:8_320] = 1.0
    points = np.frombuffer(base64.b64decode(outline(samples)), np.uint8)
    assert len(points) == 50
    assert points[25] == 255
    assert points[:25].max() == 0


@given(st.integers(0, 2_000), st.floats(0, 1, allow_subnormal=False))
def test_any_sound_has_an_outline(length: int, level: float) -> None:
    points = base64.b64decode(outline(np.full(length, level, np.float32)))
    assert len(points) == -(-length // 320)


def test_the_small_sound_is_the_same_call() -> None:
    made = trial()
    data = base64.b64decode(small_sound(made))
    samples, rate = sf.read(io.BytesIO(data), dtype="float32")
    assert rate == 16_000
    assert abs(len(samples) / rate - made.conversation.duration) < 0.05
    assert len(data) * 8 / made.conversation.duration < 60_000
    quiet, loud = samples[int(0.7 * rate) : rate], samples[int(2.6 * rate) : int(3.4 * rate)]
    assert np.abs(quiet[:, 0]).max() < 0.01 < np.abs(loud[:, 0]).max()  # the agent is left
    assert np.abs(quiet[:, 1]).max() > 0.05


def test_words_of_the_agent_end_where_the_next_begins() -> None:
    drawn = picture(trial())
    words = [row for row in drawn["words"] if row[0] == "agent"]
    assert [row[1] for row in words] == ["one", "<b>large</b>", "latte", "coming", "up"]
    assert all(a[3] <= b[2] for a, b in pairwise(words))
    kinds = [row[1] for row in drawn["events"]]
    assert kinds == ["turn", "pause", "tone", "call"]


def test_failing_cases_get_room_first_and_every_kind_before_a_second_of_any() -> None:
    costs = Costs(p50=0, p99=0, mean=0, late=0)

    def one(name: str, kind: str, ok: bool, suite: str = "task") -> Case:
        verdict = Verdict(trial=name, suite=suite, ok=ok)
        return Case(
            id=name, seed=0, suite="task", kind=kind, condition="clean", sound="x", seconds=1,
            verdicts=(verdict,), costs=costs,
        )  # fmt: skip

    cases = [one("a", "x", True), one("b", "x", False), one("c", "x", False), one("d", "y", False)]
    cases.append(one("e", "z", False, "latency"))  # only slow
    assert [case.id for case in chosen(cases)] == ["b", "d", "c", "e", "a"]
