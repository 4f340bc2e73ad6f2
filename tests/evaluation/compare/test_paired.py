from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon.evaluation.compare.paired import difference

quarters = st.integers(0, 4).map(lambda n: n / 4)
values = st.dictionaries(st.sampled_from("abcdefgh"), quarters, min_size=1)


@settings(max_examples=30, deadline=None)
@given(values, values)
def test_turning_the_systems_round_turns_the_difference_round(
    one: dict[str, float], two: dict[str, float]
) -> None:
    there, back = difference(one, two, {}, "high"), difference(two, one, {}, "high")
    if there is None or back is None:
        assert there is back
        assert not set(one) & set(two)
        return
    assert abs(there.value + back.value) < 1e-9
    assert there.low <= there.value + 1e-9
    assert there.value <= there.high + 1e-9
    assert {there.better, back.better} in ({"none"}, {"first", "other"})


def test_trials_of_one_voice_are_drawn_together() -> None:
    first = {str(at): 0.0 for at in range(40)}
    other = {str(at): float(at < 20) for at in range(40)}
    apart = difference(first, other, {}, "high")
    voices = {str(at): "one" if at < 20 else "two" for at in range(40)}
    together = difference(first, other, voices, "high")
    assert apart is not None
    assert together is not None
    assert together.high - together.low > apart.high - apart.low
