"""`antiphon bench`: figures of what a machine carries."""

from __future__ import annotations

import typer

from antiphon.cli.bench_serve import serve

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)
app.command()(serve)


@app.callback()
def bench() -> None:
    """Measure a server under load, from outside.

    Example:

        antiphon bench serve ws://127.0.0.1:8080 --sessions 16 --audio orders/ --seconds 600
    """
