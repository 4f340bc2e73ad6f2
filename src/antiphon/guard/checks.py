"""The checks by name, and what calls of one scenario share of them.

A check of text takes a sentence as far as it is known and the call's state, and gives a finding or
None; one of calls takes a call. They keep nothing but caches. Add one by writing such a callable
and naming it in `Rulebook.text_checks`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from copy import copy

from antiphon.corpus.scenario import Scenario
from antiphon.corpus.turn_reader import Reader
from antiphon.errors import ScenarioError
from antiphon.guard.calls import Calls
from antiphon.guard.claims import Claims
from antiphon.guard.conduct import Forbidden, Language, Unsafe
from antiphon.guard.config import CHECK_NAMES, CheckName, GuardConfig, guard_of
from antiphon.guard.events import Finding
from antiphon.guard.gist import Gist
from antiphon.guard.ground import Ground
from antiphon.guard.heard import Heard
from antiphon.guard.personal import Personal
from antiphon.guard.reading import SecondReading
from antiphon.guard.redact import Redactor
from antiphon.guard.script import Script
from antiphon.guard.second_ear import SecondEar
from antiphon.guard.state import CallState, Said

TextCheck = Callable[[Said, CallState], Finding | None]


class Rulebook:
    """A scenario's guard, compiled once and shared by its calls."""

    def __init__(
        self,
        scenario: Scenario,
        checks: Iterable[str] | None = None,
        config: GuardConfig | None = None,
    ) -> None:
        """`checks` are names, in place of the scenario's own choice. Raises ScenarioError."""
        self.scenario = scenario
        self.config = config or guard_of(scenario)
        if checks is not None:
            self.config = self.config.model_copy(update={"checks": _known(checks)})
        self.ground = Ground(scenario)
        self.reader = Reader(scenario)
        wanted = self.has("unsafe") and set(self.config.unsafe.intents) & set(scenario.intents)
        self.gist = Gist(scenario) if wanted else None
        self.redactor = Redactor(self.config.redact, scenario)

    def has(self, name: CheckName) -> bool:
        """Whether this check was chosen."""
        return name in self.config.checks

    def without(self, *names: CheckName) -> Rulebook:
        """The same but for these checks; nothing is compiled again."""
        kept = tuple(name for name in self.config.checks if name not in names)
        other = copy(self)
        other.config = self.config.model_copy(update={"checks": kept})
        return other

    def text_checks(self) -> list[TextCheck]:
        """The chosen checks of text, for one call."""
        config, ground = self.config, self.ground
        made: dict[str, Callable[[], TextCheck]] = {
            "claims": lambda: Claims(ground, config.claims, config.heard.near),
            "heard": lambda: Heard(ground, config.heard),
            "script": lambda: Script(ground),
            "forbidden": lambda: Forbidden(config.forbidden),
            "personal": lambda: Personal(self.scenario, config.personal),
            "unsafe": lambda: Unsafe(ground, self.reader, config.unsafe, self.gist),
            "language": lambda: Language(config.language),
        }
        return [made[name]() for name in config.checks if name in made]

    def call_check(self) -> Calls | None:
        """The check of calls, if it was chosen; for one call."""
        if not self.has("calls"):
            return None
        return Calls(self.ground, self.config.calls, self.config.heard.near)

    def heard(self) -> Heard | None:
        """The check `heard`, which tells calls of which nothing was heard."""
        return Heard(self.ground, self.config.heard) if self.has("heard") else None

    def reading(self, ear: SecondEar | None = None) -> SecondReading | None:
        """The check `reading`, which knows what the caller's words ask for; for one call."""
        if not self.has("reading"):
            return None
        return SecondReading(self.ground, self.reader, self.config.reading, ear)

    def unsafe(self) -> Unsafe | None:
        """The check `unsafe`, which also tells calls upon unsafe asks; for one call."""
        if not self.has("unsafe"):
            return None
        return Unsafe(self.ground, self.reader, self.config.unsafe, self.gist)


def _known(names: Iterable[str]) -> tuple[CheckName, ...]:
    wanted = list(names)
    for given in wanted:
        if given not in CHECK_NAMES:
            raise ScenarioError(f"there is no check {given!r}; there is {', '.join(CHECK_NAMES)}")
    return tuple(name for given in wanted for name in CHECK_NAMES if name == given)


def first_wrong(checks: Iterable[TextCheck], said: Said, state: CallState) -> Finding | None:
    """The finding with the earliest word, blocks before flags; of several the first check's."""
    found = [finding for check in checks if (finding := check(said, state)) is not None]
    return min(found, key=lambda each: (each.action == "flag", each.first), default=None)
