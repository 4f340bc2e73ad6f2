from __future__ import annotations

from pathlib import Path

import pytest

from antiphon.bundle.manifest import load
from antiphon.errors import BundleError
from antiphon.evaluation.card import Section, of_commands, put, render
from antiphon.evaluation.commands import Clip, Outcome, report


def outcome(heard: str) -> Outcome:
    return Outcome(
        clip=Clip(path=Path("a.wav"), slots={"size": "large"}),
        heard={"size": heard},
        items=1,
        ordered=True,
        agrees=True,
        answered=True,
        caller_text="",
        agent_text="",
        calls=[],
        first_audible=400.0,
        frame_p50=5.0,
        frame_p99=9.0,
        real_time_factor=0.1,
    )


def test_each_figure_stands_below_its_command() -> None:
    figures = report([outcome("large"), outcome("small")], bundle="b", data="d")
    section = of_commands("Two orders", "antiphon eval commands --data d", figures)
    card = render("cafe", "What it is.", [section])
    assert card.startswith("# cafe\n\nWhat it is.\n")
    assert card.index("antiphon eval commands") < card.index("| command acceptance")
    assert "0.500" in card
    assert "400 / 400 ms" in card


def test_a_card_is_sealed_into_its_bundle(own_bundle: Path) -> None:
    text = render("tiny", "About.", [Section(title="T", command="c", rows=(("a", "b"),))])
    put(own_bundle, text)
    assert load(own_bundle).card == text


def test_a_bundle_that_was_altered_gets_no_card(own_bundle: Path) -> None:
    (own_bundle / "scenario.yaml").write_text("altered")
    with pytest.raises(BundleError):
        put(own_bundle, "text")
