"""What the trials say, suite by suite: figures with intervals, and a verdict on every trial.

In: finished trials and the tools to measure with. Out: `Measured`. Every suite picks the trials
that are its own from all that it is given, in their order. Knows nothing of systems, files or
reports. docs/evaluation.md has every formula.
"""

from __future__ import annotations

from antiphon.evaluation.metrics import duplex, latency, risk, robustness, speech, task, tone
from antiphon.evaluation.metrics.tools import Measure, Tools, algorithmic_delay, speaker_vectors

SUITES: dict[str, Measure] = {
    "task": task.measure,
    "duplex": duplex.measure,
    "tone": tone.measure,
    "speech": speech.measure,
    "latency": latency.measure,
    "robustness": robustness.measure,
    "risk": risk.measure,
}
"""Every suite that is measured, in the order of a report."""

__all__ = ["SUITES", "Measure", "Tools", "algorithmic_delay", "speaker_vectors"]
