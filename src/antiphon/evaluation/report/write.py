"""From measured trials to a report's folder, and back."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from pydantic import ValidationError

from antiphon.corpus.disk import put
from antiphon.errors import CorpusError
from antiphon.evaluation.figures import Measured, Verdict
from antiphon.evaluation.report import markdown, page
from antiphon.evaluation.report.cases import case
from antiphon.evaluation.report.model import Case, Failure, Report, Run
from antiphon.evaluation.trial import Trial

DATA, PAGE, SUMMARY = "report.json", "index.html", "summary.md"


def assemble(
    run: Run,
    measured: Sequence[Measured],
    trials: Iterable[tuple[Trial, str]],
    failures: Sequence[Failure] = (),
) -> Report:
    """A report of trials, each with where its recording lies relative to the report's folder."""
    cases = [case(trial, sound) for trial, sound in trials]
    return Report(
        run=run,
        suites=tuple(measured),
        cases=tuple(_judged(cases, measured)),
        failures=tuple(failures),
    )


def write(report: Report, folder: Path) -> None:
    """Write `report.json`, `summary.md` and `index.html`; the trials lie in the folder already.

    Raises CorpusError where it cannot be written or a recording is missing.
    """
    put(folder / DATA, report.model_dump_json(indent=1).encode())
    put(folder / SUMMARY, markdown.summary(report).encode())
    put(folder / PAGE, page.render(report, folder).encode())


def read(folder: Path) -> Report:
    """The report in a folder. Raises CorpusError where there is none."""
    path = folder / DATA if folder.is_dir() else folder
    if path.name != DATA or not path.is_file():
        raise CorpusError(
            f"{folder}: is no report ({DATA} is missing); make one with "
            f"`antiphon eval SYSTEM --out {folder}`"
        )
    try:
        return Report.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise CorpusError(
            f"{path}: is no report that this version can read ({where}: {first['msg']}); "
            "run the evaluation again"
        ) from error


def _judged(cases: Sequence[Case], measured: Sequence[Measured]) -> list[Case]:
    """The cases with their verdicts; those of several tries of a stimulus are in the tries' order.

    A verdict that stands for all tries of its stimulus at once is shown on each.
    """
    found: dict[tuple[str, str], list[Verdict]] = defaultdict(list)
    for suite in measured:
        for verdict in suite.verdicts:
            found[verdict.trial, suite.suite].append(verdict)
    tries: dict[str, list[int]] = defaultdict(list)
    for one in cases:
        tries[one.id].append(one.seed)
    judged: list[Case] = []
    for one in cases:
        order = sorted(tries[one.id])
        own: list[Verdict] = []
        for suite in measured:
            verdicts = found[one.id, suite.suite]
            own += verdicts if len(verdicts) != len(order) else [verdicts[order.index(one.seed)]]
        judged.append(one.model_copy(update={"verdicts": tuple(own)}))
    return judged
