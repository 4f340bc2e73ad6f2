"""Which version answers a call: a pure function of the call's id and the plan.

The id's SHA-256 is a number in [0, 1); the versions beside the baseline have stretches of it from
the top down, in the order of their names, and the baseline has what is left. So the same call and
plan give the same version everywhere, and where one version stands beside the baseline a greater
share only adds calls to those that it would have answered before.
"""

from __future__ import annotations

import hashlib

from antiphon.serving.deploy.plan import Plan, Version

_SPAN = 1 << 64


def place(call_id: str, salt: str = "answers") -> float:
    """Where a call stands in [0, 1), evenly over ids."""
    digest = hashlib.sha256(f"{salt}\0{call_id}".encode("utf-8", "replace")).digest()
    return int.from_bytes(digest[:8], "big") / _SPAN


def assign(plan: Plan, call_id: str) -> Version:
    """The version that answers the call."""
    at = place(call_id)
    end = 0.0
    # The others from the top down, so that the baseline takes what is left, rounding included.
    for version in sorted(plan.answering, key=lambda version: version.name):
        if version.name == plan.baseline:
            continue
        end += version.share
        if 1 - at <= end and version.share > 0:
            return version
    return plan.base


def hears(plan: Plan, call_id: str) -> tuple[Version, ...]:
    """The shadows that hear the call, each by its own share."""
    return tuple(
        version
        for version in plan.shadows
        if place(call_id, f"hears\0{version.name}") < version.share
    )
