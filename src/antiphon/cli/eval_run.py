"""`antiphon eval run`: systems through the suites, to reports."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from antiphon.errors import AntiphonError

if TYPE_CHECKING:
    from antiphon.evaluation.report import Report
    from antiphon.evaluation.suites.run import Wanted, Watch

BASELINES = ("cascade", "silent", "talking", "vad700", "echo")


def run(
    systems: Annotated[
        list[str],
        typer.Argument(
            help="A bundle's name or folder (with +guard behind it: guarded), cascade, silent, "
            "talking, vad700, echo, or a server's ws:// address; several are compared too."
        ),
    ],
    out: Annotated[
        Path, typer.Option(help="Folder of the report; a folder for each of several systems.")
    ],
    suite: Annotated[
        str,
        typer.Option(help="all, or some of task,duplex,tone,speech,latency,robustness,risk."),
    ] = "all",
    quick: Annotated[
        bool, typer.Option("--quick", help="The small set: minutes instead of an hour.")
    ] = False,
    baselines: Annotated[
        bool, typer.Option("--baselines", help="The cascade and the four baselines too.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Seed of stimuli and sampling.")] = 0,
    seeds: Annotated[int, typer.Option(min=1, help="Tries of every task, for pass^k.")] = 1,
    workers: Annotated[
        int, typer.Option(min=0, help="Processes, of one thread each; 0: one a core.")
    ] = 0,
    calls: Annotated[
        int, typer.Option(min=1, help="Calls at a time to a server, whose clock is the wall's.")
    ] = 1,
    conditions: Annotated[
        str,
        typer.Option(help="States of the line: all, or snr10,mulaw,...; else those of the set."),
    ] = "",
    stimuli: Annotated[
        Path | None, typer.Option(help="A set that is built; else it is made in OUT/stimuli.")
    ] = None,
    scenario: Annotated[
        Path | None, typer.Option(help="The scenario; else the bundle's own, or the café's.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Manifest of recorded orders, judged beside the made ones.")
    ] = None,
    other: Annotated[
        Path | None, typer.Option(help="Folder of speech that asks for nothing, for risk.")
    ] = None,
    judge: Annotated[
        Path | None, typer.Option(help="A judge's folder; else the one that comes with Antiphon.")
    ] = None,
) -> None:
    """The standard evaluation: scripted callers talk to a system, and a report says how it did.

    Writes OUT/index.html (with the failing cases to listen to), report.json, summary.md and the
    trials. The same command goes on where an ended run was, and tries again what failed.
    Several systems are judged on the same stimuli, and compared in OUT/compare.html.

    Examples:

        antiphon eval cafe --suite all --out report/

        antiphon eval cafe --quick --suite task,duplex --out report/

        antiphon eval runs/cafe/bundle --seeds 4 --data barista/manifest.jsonl --out report/

        antiphon eval cafe --baselines --out reports/

        antiphon eval cafe cafe+guard cascade --out reports/

        antiphon eval "ws://localhost:8000/v1/realtime?model=x" --out report/
    """
    from antiphon.evaluation.suites import suites_of
    from antiphon.evaluation.suites.run import Wanted

    specs = list(dict.fromkeys([*systems, *(BASELINES if baselines else ())]))
    asked = tuple(name.strip() for name in conditions.split(",") if name.strip())
    wanted = Wanted(
        spec=specs[0],
        suites=suites_of(suite),
        size="quick" if quick else "full",
        seed=seed,
        seeds=seeds,
        stimuli=stimuli,
        scenario=scenario,
        conditions=asked or None,
        data=data,
        other=other,
        judge=judge,
        workers=workers or os.cpu_count() or 1,
        calls=calls,
    )
    if len(specs) == 1:
        _one(wanted, out)
    else:
        _several(wanted, specs, out)


def _one(wanted: Wanted, out: Path) -> None:
    from antiphon.evaluation.suites.run import evaluate

    with watching() as watch:
        report = evaluate(wanted, out, watch)
    _print(report)
    print(f"wrote {out / 'index.html'}, report.json, summary.md")


def _several(wanted: Wanted, specs: list[str], out: Path) -> None:
    """Each into a folder of its own; one that cannot be judged does not keep the others from it."""
    from antiphon.evaluation.suites.run import evaluate

    stimuli = wanted.stimuli or out / "stimuli"
    reports: list[tuple[str, Report]] = []
    failed: list[str] = []
    for spec in specs:
        own = wanted.model_copy(update={"spec": spec})
        folder = folder_name(spec)
        try:
            with watching() as watch:
                report = evaluate(own, out / folder, watch, stimuli=stimuli)
        except AntiphonError as error:
            print(f"antiphon: {spec} was left out: {error}", file=sys.stderr)
            failed.append(spec)
            continue
        reports.append((folder, report))
        _print(report)
    if len(reports) > 1:
        from antiphon.evaluation.compare import compare, write

        write(compare(reports), out)
        print(f"wrote {out / 'compare.html'}, compare.md, and a report in each folder beside them")
    if failed:
        raise AntiphonError(f"could not be judged: {', '.join(failed)} (the reasons stand above)")


def folder_name(spec: str) -> str:
    """A system's folder: its name without what a path cannot have."""
    return re.sub(r"[^\w.]+", "-", spec).strip("-.") or "system"


@contextmanager
def watching() -> Generator[Watch]:
    """A bar for each phase on stderr; where that is no terminal, a line when a phase begins."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    quiet = not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=quiet) as progress:

        def begin(what: str, steps: int) -> Callable[[], None]:
            if quiet:
                print(f"{what}: {steps}", file=sys.stderr, flush=True)
            task = progress.add_task(what, total=steps)
            return lambda: progress.advance(task)

        yield begin


def _print(report: Report) -> None:
    from antiphon.evaluation.report.markdown import headline
    from antiphon.evaluation.report.numbers import show, title
    from antiphon.evaluation.report.page import headline_figures

    console = Console()
    console.print(headline(report), style="bold", highlight=False)
    table = Table(show_header=False)
    for figure in headline_figures(report):
        suite = figure.name.partition(".")[0]
        table.add_row(f"{suite}: {title(figure.name)}", show(figure), f"n = {figure.n}")
    console.print(table, highlight=False)
    if report.failures:
        first = report.failures[0]
        console.print(
            f"{len(report.failures)} trials could not be held, the first {first.trial}: "
            f"{first.why}",
            highlight=False,
        )
