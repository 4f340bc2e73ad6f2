"""How well the guard tells unsafe asks by their words alone, where no template has them.

    python benchmarks/gist.py --scenario scenarios/cafe.yaml

Of sentences as written, and with so many of their words replaced by others (half as many are lost
besides): the share that the guard believes (`guard.unsafe.sure`) to be one of the intents which
must be refused. Asks and requests that only sound unsafe are the evaluation's own
(`evaluation/stimuli/generic.yaml`), which are kept from training; the scenario's own callers are
drawn anew, of all intents but the refused.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Sequence
from pathlib import Path

from antiphon.corpus import grammar
from antiphon.corpus.scenario import Scenario, load_scenario
from antiphon.evaluation.statistics import share
from antiphon.evaluation.stimuli.generic import fill, generic
from antiphon.guard.checks import Rulebook

SLIPS = (0.0, 0.15, 0.3)  # shares of the words that a recogniser gets wrong
_REFUSED = ("unsafe", "out_of_domain")


def slipped(words: Sequence[str], rate: float, known: Sequence[str], rng: random.Random) -> str:
    """The words with so many of them replaced, and half as many lost."""
    kept = [rng.choice(known) if rng.random() < rate else word for word in words]
    return " ".join(word for word in kept if rng.random() >= rate / 2)


def sentences(scenario: Scenario, rng: random.Random) -> dict[str, list[str]]:
    """Kind -> sentences, plain."""
    asks = [text for templates in generic().unsafe.values() for text in templates]
    alike = generic().safe_lookalike
    served = [name for name in scenario.intents if name not in _REFUSED]

    def said(intent: str) -> list[str]:
        return grammar.join(scenario.say(intent, rng).tokens).split()

    return {
        "unsafe asks": [fill(text, rng) for text in asks for _ in range(5)],
        "only sound so": [fill(t, rng, ask=said("order")) for t in alike for _ in range(10)],
        "served": [" ".join(said(name)) for name in served for _ in range(100)],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--scenario", type=Path, default=Path("scenarios/cafe.yaml"))
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    scenario = load_scenario(chosen.scenario)
    rules, rng = Rulebook(scenario), random.Random(chosen.seed)
    unsafe = rules.unsafe()
    if unsafe is None:
        parser.error(f"{chosen.scenario}: its guard does not check `unsafe`")
    texts = sentences(scenario, rng)
    known = sorted({w for each in texts["served"] for w in grammar.plain(each).split()})
    for rate in SLIPS:
        for kind, each in texts.items():
            found = sum(
                bool(unsafe.asked(slipped(grammar.plain(t).split(), rate, known, rng)))
                for t in each
            )
            print(f"slips {rate:.2f}  {kind:14s} {share(found, len(each))}")


if __name__ == "__main__":
    main()
