"""`antiphon compare`: reports side by side."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from antiphon.evaluation.compare import Comparison


def compare(
    reports: Annotated[list[Path], typer.Argument(help="Folders of `antiphon eval`, two or more.")],
    out: Annotated[
        Path, typer.Option(help="Folder for compare.html, compare.md and compare.json.")
    ] = Path("compare"),
    core_hour: Annotated[
        float, typer.Option(min=0, help="Price of an hour of one core, in any currency.")
    ] = 0.05,
    readme_table: Annotated[
        bool,
        typer.Option("--readme-table", help="Print the README's table as Markdown; write nothing."),
    ] = False,
) -> None:
    """Lay systems side by side, and say when end-to-end is worth it.

    Differences are to the first system, stimulus by stimulus, with 95 % intervals; systems that
    did not answer the same are compared on what they have in common. Where the cascade is among
    them, seven lines hold the first end-to-end system against it: accuracy, tone, latency, cost of
    an hour of call (real-time factor x --core-hour), robustness, interpretability, risk.

    Examples:

        antiphon compare reports/cafe reports/cascade --out compare/

        antiphon compare reports/* --core-hour 0.03

        antiphon compare reports/cafe reports/cascade reports/silent --readme-table
    """
    from antiphon.evaluation.compare import compare as side_by_side
    from antiphon.evaluation.compare import readme_table as table_of
    from antiphon.evaluation.compare import write
    from antiphon.evaluation.report import read

    found = [(os.path.relpath(folder, out), read(folder)) for folder in reports]
    comparison = side_by_side(found, core_hour=core_hour)
    if readme_table:
        print(table_of(comparison), end="")
        return
    write(comparison, out)
    _print(comparison)
    print(f"wrote {out / 'compare.html'}, compare.md, compare.json")


def _print(comparison: Comparison) -> None:
    from antiphon.evaluation.compare import headline
    from antiphon.evaluation.compare.worth import conclusion
    from antiphon.evaluation.report.numbers import show

    console = Console()
    console.print(headline(comparison), style="bold", highlight=False)
    for note in comparison.notes:
        console.print(note, highlight=False)
    table = Table()
    table.add_column("")
    for column in comparison.columns:
        table.add_column(column.name)
    for row in comparison.rows:
        table.add_row(row.name, *("" if figure is None else show(figure) for figure in row.figures))
    console.print(table, highlight=False)
    if comparison.pair is not None:
        ours, cascade = comparison.pair
        answer = Table(title="When is end-to-end worth it?", title_justify="left")
        for heading in ("", ours, cascade, "difference", "better"):
            answer.add_column(heading)
        for line in comparison.worth:
            cells = (line.subject, line.end_to_end, line.cascade, line.difference, line.winner)
            answer.add_row(*cells)
        console.print(answer, highlight=False)
        console.print(conclusion(comparison.worth), highlight=False)
