"""The section of the scenario: defaults, and mistakes that name their key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from antiphon.corpus.scenario import Scenario, load_scenario
from antiphon.errors import ScenarioError
from antiphon.guard.checks import Rulebook
from antiphon.guard.config import AGAIN, guard_of
from tests.bar import BAR


def with_guard(scenario: Scenario, section: dict[str, Any]) -> Scenario:
    return scenario.model_copy(update={"guard": section})


def test_a_scenario_without_the_section_has_the_defaults(bar: Scenario) -> None:
    config = guard_of(bar)
    assert config.holdback_ms is None
    assert "claims" in config.checks
    assert "script" not in config.checks
    assert config.phrase_for("claims", bar) == "sorry, i can only help with orders."


def test_a_file_holds_the_section(tmp_path: Path) -> None:
    path = tmp_path / "bar.yaml"
    section = "guard:\n  holdback_ms: 400\n  checks: [claims, script]\n  phrase: one moment\n"
    path.write_text(BAR + section)
    config = guard_of(load_scenario(path))
    assert (config.holdback_ms, config.checks, config.phrase) == (
        400,
        ("claims", "script"),
        "one moment",
    )


@pytest.mark.parametrize(
    ("section", "where"),
    [
        ({"holdbak_ms": 3}, "guard.holdbak_ms"),
        ({"checks": ["claim"]}, "guard.checks.0"),
        ({"holdback_ms": -1}, "guard.holdback_ms"),
        ({"calls": {"never": ["fly"]}}, "'fly'"),
        ({"calls": {"confirm": {"fly": {"ask": "sure?"}}}}, "'fly'"),
        ({"redact": {"slots": {"age": "loyalty"}}}, "'age'"),
        ({"breaker": {"risk": {"hallucination": {"up": 0.1, "down": 0.2}}}}, "down"),
        ({"breaker": {"start": "end_to_end", "best": "cascade"}}, "best"),
    ],
)
def test_a_mistake_names_its_key(bar: Scenario, section: dict[str, Any], where: str) -> None:
    with pytest.raises(ScenarioError, match=where):
        guard_of(with_guard(bar, section))


def test_an_unknown_check_is_named(bar: Scenario) -> None:
    with pytest.raises(ScenarioError, match="no check 'taste'"):
        Rulebook(bar, ["taste"])


def test_a_scenario_that_never_refuses_asks_again(bar: Scenario) -> None:
    intents = {k: v for k, v in bar.intents.items() if k != "out_of_domain"}
    mute = bar.model_copy(update={"intents": intents})
    assert guard_of(mute).phrase_for("claims", mute) == AGAIN


def test_styles_and_intents_that_there_are_not_are_told(bar: Scenario) -> None:
    with pytest.raises(ScenarioError, match=r"guard.style: 'angry'"):
        guard_of(with_guard(bar, {"style": "angry"}))
    with pytest.raises(ScenarioError, match=r"unknown intent 'boss'"):
        guard_of(with_guard(bar, {"breaker": {"person_intents": ["boss"]}}))


def test_the_cafes_own_section_is_read(cafe: Scenario) -> None:
    config = guard_of(cafe)
    assert config.redact.slots == {"digits": "loyalty"}
    assert config.phrase_for("unsafe", cafe) == "sorry, i can't help with that."
    assert "person" in cafe.intents
    assert config.breaker.handover in config.all_phrases(cafe)
