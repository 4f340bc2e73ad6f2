"""`antiphon eval human` and `human-score`: what people prefer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from antiphon.cli.options import Json

if TYPE_CHECKING:
    from antiphon.evaluation.human import Score


def human(
    first: Annotated[Path, typer.Argument(help="A report of `antiphon eval`.")],
    second: Annotated[Path, typer.Argument(help="Another, of the same stimuli.")],
    out: Annotated[Path, typer.Option(help="Folder for index.html and key.json.")],
    pairs: Annotated[int, typer.Option(min=1, help="How many pairs at most.")] = 20,
    repeats: Annotated[
        int, typer.Option(min=0, help="Pairs asked again, sides changed, to check listeners.")
    ] = 2,
    kind: Annotated[
        list[str] | None, typer.Option(help="Only stimuli of this kind; may be repeated.")
    ] = None,
    question: Annotated[
        list[str] | None, typer.Option(help="A question to each pair; may be repeated.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the choice, the order and the sides.")] = 0,
) -> None:
    """Make a page for blind listening: the same callers, two systems, nobody knows which is which.

    Send OUT/index.html to listeners, keep OUT/key.json. The page works by keyboard and without a
    network; a listener saves a file of answers and sends it back.

    Examples:

        antiphon eval human reports/cafe reports/cascade --out listen/

        antiphon eval human reports/cafe reports/cascade --out listen/ --kind conversation
        --question "Who handled it better?" --question "Whose voice is more pleasant?"
    """
    from antiphon.evaluation.human import QUESTION, export
    from antiphon.evaluation.report import read

    reports = ((first, read(first)), (second, read(second)))
    key = export(
        reports,
        out,
        count=pairs,
        repeats=repeats,
        kinds=kind or (),
        questions=question or (QUESTION,),
        seed=seed,
    )
    asked = sum(not pair.repeats for pair in key.pairs)
    print(f"wrote {out / 'index.html'}: {asked} pairs, {len(key.pairs) - asked} asked twice")
    print(f"keep {out / 'key.json'} from the listeners, and score their files with")
    print(f"antiphon eval human-score {out / 'key.json'} results-*.json")


def human_score(
    key: Annotated[Path, typer.Argument(help="key.json of the page, or its folder.")],
    results: Annotated[list[Path], typer.Argument(help="What listeners saved and sent.")],
    as_json: Json = False,
) -> None:
    """Score a listening page: the preference with its interval, and how far listeners agree.

    Examples:

        antiphon eval human-score listen/key.json results-*.json

        antiphon eval human-score listen results-anna.json results-ben.json --json
    """
    from antiphon.evaluation.human import read_key, read_results, score

    found = score(read_key(key), [read_results(path) for path in results])
    if as_json:
        print(found.model_dump_json(indent=2))
    else:
        _print(found)


def _print(found: Score) -> None:
    console = Console()
    first, second = found.systems
    console.print(
        f"{first} against {second}: {found.listeners} listeners, {found.pairs} pairs, "
        "95 % intervals",
        style="bold",
        highlight=False,
    )
    for one in found.questions:
        table = Table(title=one.question, title_justify="left", show_header=False)
        table.add_row(f"prefer {first}", str(one.first))
        table.add_row(f"prefer {second}", str(one.second))
        table.add_row("no difference", str(one.same))
        table.add_row(f"preference for {first}", str(one.preference))
        table.add_row("as uneven by guessing alone", f"{one.chance:.3f}")
        table.add_row("pairs of listeners who agree", str(one.agreement))
        table.add_row("Krippendorff's alpha", "-" if one.alpha is None else f"{one.alpha:.2f}")
        table.add_row("answered alike when asked twice", str(one.consistency))
        console.print(table, highlight=False)
