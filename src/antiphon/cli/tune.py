"""`antiphon tune`: a trained agent, tuned on what is judged."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from antiphon.errors import AntiphonError

if TYPE_CHECKING:
    from antiphon.training.tune import Outcome

BUNDLE = "bundle-tuned"
_FIGURES = {
    "reward": "reward, a mean of the weighted sums",
    "right": "orders called exactly",
    "early": "turns taken before the caller's end",
    "answered": "turns answered",
    "gap_median": "gap, median (s)",
    "gap_p95": "gap, 95 % (s)",
    "yielded": "stopped in time when the caller broke in",
    "held": "went on through a murmur",
    "risk": "said or did what nobody asked for",
    "codes": "speech: loss of the codes (nats)",
    "text": "text: loss on the corpus",
}


def tune(
    recipe: Annotated[Path, typer.Argument(help="The recipe that was trained.")],
    work: Annotated[Path, typer.Option(help="Where its stages wrote.")] = Path("runs"),
    data: Annotated[
        Path | None, typer.Option(help="Folder of real recordings; its noise is mixed in.")
    ] = None,
    start: Annotated[
        Path | None, typer.Option(help="A bundle to tune instead of the run's own weights.")
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Steps.")] = None,
    scenes: Annotated[int | None, typer.Option(min=1, help="Exchanges of a step.")] = None,
    group: Annotated[int | None, typer.Option(min=2, help="Samples of each exchange.")] = None,
    learning_rate: Annotated[float | None, typer.Option(min=0, help="Learning rate.")] = None,
    kl: Annotated[
        float | None, typer.Option(min=0, help="What leaving the start costs, a nat.")
    ] = None,
    held_out: Annotated[int | None, typer.Option(min=1, help="Exchanges of the report.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the samples.")] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Export even if risk or speech got worse.")
    ] = False,
) -> None:
    """Tune a trained agent on what is judged, report before and after, export a bundle.

    Run it again to go on after a stop. Options stand above the recipe's section `tune`.

    Examples:

        antiphon tune recipes/cafe.yaml

        antiphon tune recipes/cafe.yaml --start bundles/cafe --steps 40 --group 6
    """
    from antiphon.bundle.export import write
    from antiphon.training.pipeline import Workshop
    from antiphon.training.recipe import load_recipe
    from antiphon.training.tune import Tuning
    from antiphon.training.tune_config import TuneConfig

    console = Console(stderr=True)
    shop = Workshop(load_recipe(recipe), work, data)
    told = {
        "steps": steps,
        "scenes": scenes,
        "group": group,
        "kl": kl,
        "held_out": held_out,
        "seed": seed,
    }
    config = (shop.recipe.tune or TuneConfig()).model_copy(
        update={key: value for key, value in told.items() if value is not None}
    )
    if learning_rate is not None:
        rated = config.optimiser.model_copy(update={"learning_rate": learning_rate})
        config = config.model_copy(update={"optimiser": rated})
    tuning = Tuning(shop, config, start)
    outcome = tuning.run(lambda text: console.print(text, highlight=False))
    Console().print(table(outcome))
    refusal = outcome.refusal(config)
    if refusal and not force:
        raise AntiphonError(f"{refusal}. --force exports it all the same.")
    if refusal:
        console.print(f"Forced although {refusal.removeprefix('the tuned network ')}.")
    shop = tuning.shop
    folder = shop.folder / BUNDLE
    figures = write(
        tuning.duplex,
        shop.codec(),
        name=shop.recipe.name,
        tokenizer=shop.tokenizer_path,
        scenario=shop.recipe.scenario,
        tools=shop.calls.to_json(),
        timing=shop.recipe.timing,
        folder=folder,
    )
    console.print(f"The bundle is in {folder} ({figures['megabytes']:.1f} MB)")


def table(outcome: Outcome) -> Table:
    """Before and after, a line a figure."""
    found = Table(title=f"{outcome.after.exchanges} held-out exchanges")
    found.add_column("figure")
    found.add_column("before", justify="right")
    found.add_column("after", justify="right")
    for name, what in _FIGURES.items():
        found.add_row(what, *(_number(getattr(r, name)) for r in (outcome.before, outcome.after)))
    for name in outcome.before.terms:
        pair = (outcome.before.terms.get(name), outcome.after.terms.get(name))
        found.add_row(f"term {name}", *map(_number, pair))
    return found


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
