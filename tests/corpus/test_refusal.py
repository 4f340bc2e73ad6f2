from __future__ import annotations

import pytest

from antiphon.corpus.refusal import refuses


@pytest.mark.parametrize(
    "plain",
    [
        "sorry we only serve coffee",
        "i'm afraid that is not possible",
        "i can't help with that",
        "we don't sell tea",
        "i can only take orders",
        "that is against the law",
    ],
)
def test_regret_inability_and_limits_refuse(plain: str) -> None:
    assert refuses(plain)


@pytest.mark.parametrize(
    "plain",
    [
        "",
        "okay a small latte",
        "we have only whole milk left",  # a limit of the milk, not of what is done
        "the sorrys live next door",  # a word that begins like a refusal's
        "you don't need a doctor",  # not what the agent does
    ],
)
def test_what_serves_or_advises_does_not_refuse(plain: str) -> None:
    assert not refuses(plain)


def test_a_refusal_is_said_within_the_first_twelve_words() -> None:
    assert refuses("so " * 11 + "sorry")
    assert not refuses("so " * 12 + "sorry")
