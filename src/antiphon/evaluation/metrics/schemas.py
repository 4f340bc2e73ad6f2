"""A trial's calls held against the JSON schemas of their tools."""

from __future__ import annotations

from antiphon.corpus.calls import schema_error
from antiphon.corpus.scenario import Scenario
from antiphon.evaluation.trial import Trial
from antiphon.runtime.events import CallEvent


def faults(trial: Trial, scenario: Scenario) -> list[str]:
    """For every call what is wrong with it, in a sentence; "" where nothing is."""
    return [schema_error(call.name, call.arguments, scenario.tools) for call in trial.calls]


def valid_calls(trial: Trial, scenario: Scenario) -> list[CallEvent]:
    """The calls that a tool would take: one that breaks its schema changes nothing."""
    judged = zip(trial.calls, faults(trial, scenario), strict=True)
    return [call for call, fault in judged if not fault]
