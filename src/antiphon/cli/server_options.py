"""Options of the commands that call a server."""

from __future__ import annotations

from typing import Annotated

import typer

Key = Annotated[
    str | None, typer.Option(envvar="ANTIPHON_REALTIME_KEY", help="The server's key, if it asks.")
]
Model = Annotated[
    str | None, typer.Option(help="The server's model; else the address's, or its own.")
]
