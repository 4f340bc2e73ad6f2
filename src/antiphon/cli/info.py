"""`antiphon info`: what a bundle is."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.console import Console
from rich.markdown import Markdown
from rich.table import Table

from antiphon.cli.options import Json


def info(
    bundle: Annotated[str, typer.Argument(help="The bundle's name or its folder.")] = "cafe",
    as_json: Json = False,
) -> None:
    """Verify a bundle and print its manifest, the sizes of its files, and its card.

    Examples:

        antiphon info

        antiphon info runs/my-agent/bundle --json
    """
    from antiphon.bundle import find, load

    loaded = load(find(bundle))
    manifest, sizes = loaded.manifest, loaded.sizes
    if as_json:
        fields = manifest.model_dump(mode="json")
        print(json.dumps({"folder": str(loaded.folder), "sizes": sizes, **fields}, indent=2))
        return
    console = Console()
    facts = Table.grid(padding=(0, 2))
    tools = ", ".join(str(tool.get("name")) for tool in manifest.tools)
    state = sum(_elements(spec.shape) for spec in manifest.states)
    facts.add_row("bundle", f"{manifest.name} (format {manifest.format}) in {loaded.folder}")
    facts.add_row("audio", f"{manifest.sample_rate} Hz, {manifest.frame} samples a frame")
    facts.add_row("codes", f"{manifest.n_codes} a frame, of {manifest.codebook_size}")
    facts.add_row("text", f"{manifest.text_vocabulary} pieces")
    facts.add_row("tools", tools)
    facts.add_row("state", f"{len(manifest.states)} tensors, {state:,} values a session")
    facts.add_row("batch", str(manifest.batch))
    console.print(facts, highlight=False)
    table = Table(title="files, checksums verified", title_justify="left")
    table.add_column("file")
    table.add_column("bytes", justify="right")
    for name, size in sizes.items():
        table.add_row(name, f"{size:,}")
    table.add_row("all", f"{sum(sizes.values()):,}", style="bold")
    console.print(table)
    if loaded.card:
        console.print(Markdown(loaded.card))


def _elements(shape: tuple[int, ...]) -> int:
    count = 1
    for size in shape:
        count *= size
    return count
