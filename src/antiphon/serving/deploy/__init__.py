"""Several bundles in one server: shares of calls, shadows, and a rollback that needs nobody.

In: a plan file in the store's folder, and the calls that the store keeps. Out: which version
answers a call, who hears it besides, and verdicts that take a version out of service. It knows
nothing of protocols.
"""

from __future__ import annotations

from antiphon.serving.deploy.plan import Plan, PlanError, Thresholds, Version
from antiphon.serving.deploy.shares import assign, hears
from antiphon.serving.deploy.verdict import Evidence, Verdict, judge

__all__ = [
    "Evidence",
    "Plan",
    "PlanError",
    "Thresholds",
    "Verdict",
    "Version",
    "assign",
    "hears",
    "judge",
]
