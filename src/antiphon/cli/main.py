"""`antiphon`: finds a command, runs it, and turns what went wrong into one sentence."""

from __future__ import annotations

import importlib
import os
import sys
from importlib.util import find_spec
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import antiphon
from antiphon.errors import AntiphonError

# In the order of the help. A command is `antiphon.cli.<name>`, holding either a function of
# that name or a group of commands as `app`; it is imported when it is needed and not before.
COMMANDS = (
    *("talk", "live", "say", "transcribe", "info", "serve", "cluster", "bench", "store"),
    *("replay", "deploy", "risk", "eval", "compare", "train", "tune", "corpus"),
)


class _Commands(TyperGroup):
    """The commands, loaded by name: `antiphon info` must not wait for what `train` imports."""

    def list_commands(self, ctx: Any) -> list[str]:
        return [name for name in COMMANDS if find_spec(f"antiphon.cli.{name}")]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in self.list_commands(ctx):
            return None
        module = importlib.import_module(f"antiphon.cli.{cmd_name}")
        app = getattr(module, "app", None)
        if app is None:
            app = typer.Typer(rich_markup_mode=None, add_completion=False)
            app.command(cmd_name)(getattr(module, cmd_name))
        command = typer.main.get_command(app)
        command.name = cmd_name
        return command


app = typer.Typer(
    name="antiphon",
    cls=_Commands,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"antiphon {antiphon.__version__}")
        raise typer.Exit


@app.callback()
def _root(  # pyright: ignore[reportUnusedFunction]
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it and end.")
    ] = False,
) -> None:
    """Speech agents, end to end: one network hears a caller and answers in speech.

    Examples:

        antiphon talk order.wav                     let the bundled agent answer a recording

        antiphon live                               talk to it

        antiphon eval cafe --quick --out report/    judge it by the standard evaluation
    """


def main() -> None:
    """The entry point: status 0, or one sentence on stderr and status 2 for bad input."""
    try:
        app()
    except AntiphonError as error:
        _fail(str(error))
    except BrokenPipeError:
        # The reader has gone (`antiphon ... | head`): end without a word, also at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None
    except OSError as error:
        if error.errno is None:
            raise
        where = f"{error.filename}: " if error.filename else ""
        _fail(f"{where}{error.strerror}")


def _fail(sentence: str) -> None:
    print(f"antiphon: {sentence}", file=sys.stderr)
    raise SystemExit(2)
