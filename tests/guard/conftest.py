"""The small scenario's rulebook, compiled once."""

from __future__ import annotations

import pytest

from antiphon.corpus.scenario import Scenario
from antiphon.guard.checks import Rulebook

TEXT = ("claims", "calls", "personal", "unsafe", "language", "forbidden")


@pytest.fixture(scope="session")
def rules(bar: Scenario) -> Rulebook:
    """Every check of text and calls; none of the sound."""
    return Rulebook(bar, TEXT)


@pytest.fixture(scope="session")
def with_sound(bar: Scenario) -> Rulebook:
    """The scenario's own choice: the sound too."""
    return Rulebook(bar)
