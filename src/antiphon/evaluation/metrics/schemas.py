"""Calls held against the JSON schemas of their tools."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jsonschema import Draft202012Validator

from antiphon.corpus.calls import Tool
from antiphon.corpus.scenario import Scenario
from antiphon.evaluation.trial import Trial
from antiphon.runtime.events import CallEvent


def schema_error(call: CallEvent, tools: Sequence[Tool]) -> str:
    """What is wrong with a call by its tool's JSON schema, in a sentence; "" if nothing is."""
    tool = next((tool for tool in tools if tool.name == call.name), None)
    if tool is None:
        return f"It called {call.name}, which is no tool."
    validator: Any = Draft202012Validator(tool.parameters)
    wrong = next(iter(validator.iter_errors(call.arguments)), None)
    return "" if wrong is None else f"Its call of {call.name} breaks the schema: {wrong.message}."


def valid_calls(trial: Trial, scenario: Scenario) -> list[CallEvent]:
    """The calls that a tool would take: one that breaks its schema changes nothing."""
    return [call for call in trial.calls if not schema_error(call, scenario.tools)]
