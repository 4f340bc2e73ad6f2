"""A report as one HTML page that asks nothing of the network."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from antiphon.errors import AntiphonError
from antiphon.evaluation.figures import Figure, Measured
from antiphon.evaluation.report import numbers
from antiphon.evaluation.report.cases import picture, small_sound
from antiphon.evaluation.report.choose import chosen
from antiphon.evaluation.report.markdown import headline
from antiphon.evaluation.report.model import Case, Report
from antiphon.evaluation.trial import load

if TYPE_CHECKING:
    from jinja2 import Environment

ROOM = 3_200_000  # bytes of sound, as base64, that a page carries
LEAST_SPREAD = 8  # values below which a distribution is not drawn
TIMES = ("ms", "s", "per minute")  # units whose spread over trials is drawn

FIRST = (
    "task.pass_1",
    "task.acceptance",
    "duplex.turn_tor",
    "duplex.pause_tor",
    "duplex.joint",
    "tone.flip",
    "speech.divergence",
    "latency.first_audible_p50",
    "latency.network_first_audible_p50",
    "latency.real_time_factor",
    "robustness.worst",
    "risk.hallucination",
    "risk.over_refusal",
)
"""Figures of the headline, where there are such; else each suite's first."""


@lru_cache(maxsize=1)
def templates() -> Environment:
    """The pages' templates, with everything escaped. Raises AntiphonError without jinja2."""
    try:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined
    except ImportError as error:
        raise AntiphonError(
            "reports need jinja2, which is not installed; pip install 'antiphon[eval]'"
        ) from error
    here = Path(__file__).parent
    folders = [here, here.parent / "compare", here.parent / "human"]
    made = Environment(
        loader=FileSystemLoader(folders),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals |= {  # pyright: ignore[reportAttributeAccessIssue]
        "number": numbers.number,
        "interval": numbers.interval,
        "title": numbers.title,
        "css": (here / "page.css").read_text(encoding="utf-8"),
    }
    return made


def render(report: Report, folder: Path, *, room: int = ROOM) -> str:
    """The page; recordings are read from `folder` and carried while they fit into `room` bytes.

    Raises CorpusError for a recording that is missing or no trial.
    """
    from antiphon.evaluation.report import plots

    sounds: dict[int, str] = {}
    rows = [_row(case) for case in report.cases]
    index = {(case.id, case.seed): at for at, case in enumerate(report.cases)}
    for case in chosen(report.cases):
        at = index[case.id, case.seed]
        trial = load(folder / case.sound)
        sound = small_sound(trial)
        if len(sound) > room:
            break
        room -= len(sound)
        sounds[at] = sound
        rows[at] |= {"picture": picture(trial)}
    wrong = [at for at, case in enumerate(report.cases) if case.ok is False]
    template = templates().get_template("page.html.j2")
    return template.render(
        report=report,
        run=report.run,
        headline=headline(report),
        cards=headline_figures(report),
        judge=[f for n, f in report.figures.items() if "judge" in n and f.value is not None],
        spreads={suite.suite: _spreads(report, suite) for suite in report.suites},
        axis=plots.scale,
        whisker=plots.whisker,
        data=embedded({"cases": rows}),
        sounds=sounds,
        wrong=len(wrong),
        wrong_with_sound=sum(at in sounds for at in wrong),
        script=(Path(__file__).parent / "page.js").read_text(encoding="utf-8"),
    )


def embedded(content: Any) -> str:
    """JSON that may stand inside a script element of a page."""
    from markupsafe import Markup

    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c").replace("\u2028", "\\u2028"))


def _row(case: Case) -> dict[str, Any]:
    kept = case.model_dump(exclude={"costs", "told", "verdicts", "group"})
    verdicts = [v.model_dump(exclude={"trial"}) for v in case.verdicts]
    return {**kept, "ok": case.ok, "verdicts": verdicts}


def headline_figures(report: Report) -> list[Figure]:
    """The figures that stand above all others; those that could not be measured are left out."""
    figures = {name: f for name, f in report.figures.items() if f.value is not None}
    first = [figures[name] for name in FIRST if name in figures]
    named = {figure.name.partition(".")[0] for figure in first}
    others = [
        next((f for f in suite.figures if f.value is not None), None)
        for suite in report.suites
        if suite.suite not in named
    ]
    return [*first, *(figure for figure in others if figure is not None)]


def _spreads(report: Report, suite: Measured) -> list[Any]:
    """The distributions of a suite's times over its trials."""
    from antiphon.evaluation.report import plots

    units: dict[str, str] = {}
    values: dict[str, list[float]] = {}
    for figure in suite.figures:
        units.setdefault(figure.name.partition(".")[2], figure.unit)
    for verdict in suite.verdicts:
        for name, value in verdict.values.items():
            own = name.removeprefix(f"{suite.suite}.")
            if value is not None and _unit(own, units) in TIMES:
                values.setdefault(own, []).append(value)
    return [
        {
            "name": re.sub(r"_p\d+$", "", name).replace("_", " "),
            "n": len(found),
            "plot": plots.spread(found, _unit(name, units), f"{name} over {len(found)} trials"),
        }
        for name, found in values.items()
        if len(found) >= LEAST_SPREAD
    ]


def _unit(name: str, units: dict[str, str]) -> str:
    """A trial's value has its figure's unit; that of "gap" is the one of "gap_p50"."""
    if name in units:
        return units[name]
    return next((unit for figure, unit in units.items() if figure.startswith(f"{name}_")), "share")
