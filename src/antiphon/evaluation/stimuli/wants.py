"""What callers of a scenario may want, by what it does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from antiphon.corpus.scenario import Scenario

_OUT_OF_DOMAIN = "out_of_domain"  # the corpus's own name for it


@dataclass
class Wants:
    """The intents of a scenario by what they do."""

    scenario: Scenario
    add: list[str] = field(default_factory=list[str])
    change: list[str] = field(default_factory=list[str])
    clear: list[str] = field(default_factory=list[str])
    other: list[str] = field(default_factory=list[str])
    """They make a call that changes nothing that is held."""
    ask: list[str] = field(default_factory=list[str])
    """They make no call: questions."""

    def __post_init__(self) -> None:
        for name, spec in self.scenario.intents.items():
            if name == _OUT_OF_DOMAIN or spec.place != "any":
                continue
            if spec.call is None:
                if spec.effect == "none" and spec.reply:
                    self.ask.append(name)
            else:
                kinds = {"add": self.add, "change": self.change, "clear": self.clear}
                kinds.get(spec.effect, self.other).append(name)

    def first(self, names: Sequence[str]) -> list[str]:
        """Those of `names` that may come while nothing is held."""
        return [n for n in names if self.scenario.intents[n].weight.get("empty", 0.0) > 0]

    def later(self, names: Sequence[str]) -> list[str]:
        """Those that may come while something is held."""
        return [n for n in names if self.scenario.intents[n].weight.get("held", 0.0) > 0]
