"""`antiphon eval gallery`: pictures of calls."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def gallery(
    report: Annotated[Path, typer.Argument(help="Folder of a report, with its trials.")],
    out: Annotated[Path, typer.Option(help="Folder for the pictures and README.md.")] = Path(
        "gallery"
    ),
    kind: Annotated[
        list[str] | None, typer.Option(help="Only calls of this kind; may be given again.")
    ] = None,
) -> None:
    """Draw one call of each kind from a report: both channels, words, turns, tone and latency.

    Examples:

        antiphon eval gallery reports/cafe --out docs/gallery

        antiphon eval gallery reports/cafe --kind barge_in --kind pause
    """
    from antiphon.evaluation.gallery import KINDS
    from antiphon.evaluation.gallery import gallery as draw

    pictures = draw(report, out, tuple(kind) if kind else KINDS)
    print(f"{len(pictures)} calls are drawn in {out / 'README.md'}")
