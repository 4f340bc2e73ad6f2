"""`antiphon train`: a recipe from nothing to a bundle."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from antiphon.errors import AntiphonError, RecipeError

EXPORT = "export"


def train(
    recipe: Annotated[Path, typer.Argument(help="A recipe, such as recipes/cafe.yaml.")],
    data: Annotated[
        Path | None, typer.Option(help="Folder of real recordings that the recipe names.")
    ] = None,
    work: Annotated[Path, typer.Option(help="Where stages write and resume.")] = Path("runs"),
    stage: Annotated[
        list[str] | None, typer.Option(help="Only this stage; may be given again.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes that build the corpus.")] = 2,
    corpus: Annotated[
        Path | None, typer.Option(help="For a codec's recipe: the corpus to train it on.")
    ] = None,
) -> None:
    """Train a bundle: corpus, codec, hearing, duplex, export. Run it again to go on after a stop.

    With a codec's recipe it trains the codec alone, on a corpus that exists; with a judge's, the
    judge of the agent's speech that `antiphon eval speech` asks for.

    Examples:

        antiphon train recipes/cafe.yaml --data ../data

        antiphon train recipes/cafe.yaml --stage hearing --stage duplex

        antiphon train recipes/codec.yaml --corpus runs/cafe/corpus/train

        antiphon train recipes/judge.yaml

        torchrun --nproc-per-node 8 -m antiphon train recipes/cafe.yaml --stage duplex
    """
    from antiphon.training.pipeline import PARALLEL, STAGES, Workshop, run, train_codec_alone
    from antiphon.training.recipe import is_codec_recipe, is_judge_recipe, load_recipe

    stages = (*STAGES, EXPORT)
    chosen = tuple(stage) if stage else stages
    unknown = [name for name in chosen if name not in stages]
    if unknown:
        raise RecipeError(f"there is no stage {unknown[0]!r}; there are {', '.join(stages)}")
    console = Console(stderr=True)
    if is_codec_recipe(recipe):
        if corpus is None:
            raise RecipeError(f"{recipe} trains a codec; name the corpus to train it on: --corpus")
        train_codec_alone(recipe, corpus, work / "codec")
        console.print(f"The codec is in {work / 'codec' / 'codec'}")
        return
    if is_judge_recipe(recipe):
        from antiphon.bundle.judge import export_judge
        from antiphon.training.judge import Judge, train_judge

        made = train_judge(recipe, work, lambda text: console.print(text))
        export_judge(Judge.load(made), made)
        console.print(f"The judge is in {made}")
        return
    shop = Workshop(load_recipe(recipe), work, data, workers)
    shared = [name for name in chosen if name in PARALLEL]
    alone = "RANK" not in os.environ
    for name in [n for n in STAGES if n in chosen]:
        if name in shared and alone and shop.recipe.processes > 1:
            console.print(f"Stage {name} on {shop.recipe.processes} processes")
            _together(shop.recipe.processes, recipe, data, work, name)
        else:
            run(shop, [name], lambda text: console.print(text))
    if EXPORT in chosen:
        from antiphon.bundle.export import export_run

        folder, figures = export_run(shop)
        console.print(f"The bundle is in {folder} ({figures['megabytes']:.1f} MB)")


def _together(processes: int, recipe: Path, data: Path | None, work: Path, stage: str) -> None:
    """The same command under torchrun, one stage of it."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", str(processes), "-m", "antiphon", "train", str(recipe)]
    command += ["--work", str(work), "--stage", stage]
    command += ["--data", str(data)] if data else []
    environment = {**os.environ, "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}
    if subprocess.run(command, env=environment, check=False).returncode:
        raise AntiphonError(
            f"stage {stage} stopped before its end; the lines above say why. "
            "Run the same command again to go on from its last checkpoint."
        )
