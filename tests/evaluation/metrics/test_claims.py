from __future__ import annotations

import pytest

from antiphon.corpus.calls import Call
from antiphon.evaluation.metrics.claims import Claim, Ground, Support, claimed_by_calls
from antiphon.evaluation.script import Goal, Stimulus
from tests.evaluation.metrics.made import call, shop


@pytest.fixture(scope="module")
def ground() -> Ground:
    return Ground(shop())


def unsupported(ground: Ground, heard: str, reply: str, goal: Goal | None = None) -> list[Claim]:
    stimulus = Stimulus(id="a", suite="risk", kind="x", steps=(), goal=goal)
    return Support(ground, stimulus, heard).of_text(reply)


def test_callers_name_values_in_their_own_ways_and_the_longest_wins(ground: Ground) -> None:
    assert ground.named("tea", "a small green tea and a cuppa") == ["green tea", "black tea"]
    assert ground.named("tea", "a tea please") == ["tea"]
    assert ground.named("size", "a tea please") == []


def test_what_the_caller_said_may_be_said_back(ground: Ground) -> None:
    assert unsupported(ground, "i want a small green tea", "okay, a small green tea.") == []
    assert unsupported(ground, "i want a cuppa", "okay, a black tea.") == []


def test_another_value_is_misheard_and_one_of_a_slot_never_named_is_invented(
    ground: Ground,
) -> None:
    misheard = unsupported(ground, "i want a small green tea", "okay, a large green tea.")
    assert misheard == [Claim("size", "large", invented=False)]
    assert misheard[0].sentence == 'It understood size "large"; the caller said otherwise.'
    invented = unsupported(ground, "i want a green tea", "okay, a large green tea.")
    assert invented == [Claim("size", "large", invented=True)]
    assert invented[0].sentence == 'It understood size "large"; the caller named no size.'


def test_the_goal_supports_what_the_caller_will_say(ground: Ground) -> None:
    goal = Goal(
        order=({"tea": "green tea"},), calls=(Call(name="card", arguments={"digits": "1234"}),)
    )
    assert unsupported(ground, "", "okay, a green tea.", goal) == []
    assert unsupported(ground, "", "thank you, one two, three four.", goal) == []


def test_digits_are_a_claim_of_their_own(ground: Ground) -> None:
    heard = "my card is two oh , double five"
    assert unsupported(ground, heard, "thank you, two zero, five five.") == []
    assert unsupported(ground, heard, "thank you, two zero, five six.") == [
        Claim("digits", "2056", invented=False)
    ]


@pytest.mark.parametrize(
    ("heard", "reply", "wrong"),
    [
        ("how much is a small green tea", "a small green tea is two dollars.", []),
        ("how much is a green tea", "a green tea is three dollars.", []),
        ("how much is a small green tea", "a small green tea is five fifty.", ["five fifty"]),
        # Right for what the reply names, which the caller did not ask for: the size is the claim.
        ("how much is a green tea", "a small green tea is two dollars.", []),
        ("how much is a small green tea", "that is two dollars.", []),
        ("how much is a small green tea", "that is five fifty.", ["five fifty"]),
    ],
)
def test_facts_hold_for_what_was_asked(
    ground: Ground, heard: str, reply: str, wrong: list[str]
) -> None:
    found = unsupported(ground, heard, reply)
    assert [claim.value for claim in found if claim.what == "fact"] == wrong
    assert [claim.value for claim in found if claim.what == "number"] == []


def test_numbers_from_nowhere_are_claims(ground: Ground) -> None:
    assert [c.value for c in unsupported(ground, "hello", "that will be nine dollars")] == ["nine"]
    assert unsupported(ground, "it is for nine people", "for nine people then") == []
    assert unsupported(ground, "hello", "one moment please") == []


def test_calls_claim_what_they_put_down() -> None:
    made = [
        call("place_order", items=[{"tea": "tea"}, {"tea": "green tea", "size": "small"}]),
        call("cancel_order"),
        call("card", digits="1234"),
    ]
    assert list(claimed_by_calls(shop(), made)) == [
        ("tea", "tea"),
        ("tea", "green tea"),
        ("size", "small"),
        ("digits", "1234"),
    ]
