"""A guard is opened with its phrases said, and a recording goes through it in process."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from antiphon.guard.answer import answer
from antiphon.guard.checks import Rulebook
from antiphon.guard.config import BreakerRules, GuardConfig
from antiphon.guard.opening import open_service
from antiphon.runtime.agent import Agent
from tests.guard.talk import tone


def test_phrases_are_ready_and_a_bundle_without_styles_says_them_too(tiny_bundle: Path) -> None:
    agent = Agent.load(tiny_bundle)
    config = GuardConfig(phrase="a latte", breaker=BreakerRules(handover="a large latte"))
    rules = Rulebook(agent.scenario, config=config)
    service = open_service(agent, rules=rules, cascade=False)
    assert set(service.ready) == {"a latte", "a large latte"}
    assert service.standby is None


def test_a_recording_is_answered_behind_the_guard(tiny_bundle: Path) -> None:
    agent = Agent.load(tiny_bundle)
    config = GuardConfig(checks=("calls",), phrase="a latte")
    rules = Rulebook(agent.scenario, config=config)
    service = open_service(agent, rules=rules, cascade=False)
    loud = np.concatenate((tone(16_000), np.zeros(8_000, np.float32)))
    found = answer(agent, service, loud)
    assert found.level == "guarded"
    assert found.answer.agent_text == agent.answer(loud).agent_text
    assert len(found.answer.audio) == len(found.answer.caller)
    assert found.added_ms
