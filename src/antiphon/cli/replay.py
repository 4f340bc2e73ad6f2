"""`antiphon replay`: a stored call's caller, heard again by any bundle, and what it changes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from antiphon.cli.options import Json
from antiphon.cli.store_options import AuditKey, Url, Where, opened

if TYPE_CHECKING:
    from antiphon.serving.replay import MadeCall, Pair, Replay, TurnOf


def replay(
    call: Annotated[str, typer.Argument(help="The id of a call; antiphon store list shows them.")],
    store: Where = None,
    bundle: Annotated[
        str | None,
        typer.Option(
            "--bundle", "-b", help="The agent: a bundle's name or folder; else the call's own."
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(help="Seed of the sampling; else the call's own, or 0 if it was not kept."),
    ] = None,
    with_pauses: Annotated[
        bool,
        typer.Option("--with-pauses", help="Run a call of which parts were not kept, too."),
    ] = False,
    url: Url = None,
    audit_key: AuditKey = None,
    as_json: Json = False,
) -> None:
    """Run the caller of a stored call through a bundle again, and show what is said otherwise.

    The same call, bundle and seed give the same result. Status 0, whether anything changed or not.

    Examples:

        antiphon replay call_5f0c2a9d41b7

        antiphon replay call_5f0c2a9d41b7 --bundle runs/new --store /srv/calls

        antiphon replay call_5f0c2a9d41b7 --seed 7 --json | jq .same
    """
    from antiphon.runtime.agent import Agent

    with opened(store, url, audit_key) as there:
        from antiphon.serving.replay import recorded, sound_of
        from antiphon.serving.replay import replay as run_again

        record = recorded(there, call)
        sound_of(there, record, with_pauses=with_pauses)  # before a bundle is loaded
        agent = Agent.load(bundle or record.call.bundle)
        found = run_again(there, call, agent, seed=seed, with_pauses=with_pauses)
    if as_json:
        typer.echo(found.model_dump_json(indent=1))
    else:
        _print(found)


def _print(found: Replay) -> None:
    console = Console()
    console.print(
        f"{found.call}, {found.seconds:.1f} s: then {_version(found.then_bundle)}"
        f"{_mark(found.then_fingerprint)}, now {found.bundle}{_mark(found.fingerprint)}, "
        f"seed {found.seed}",
        highlight=False,
        markup=False,
    )
    table = Table("at", "who", "then", "now", "changed")
    for pair in found.turns:
        table.add_row(
            f"{pair.start:.2f}",
            pair.speaker,
            _side(pair, pair.then, pair.now),
            Text("the same") if not pair.changed else _side(pair, pair.now, pair.then),
            ", ".join(pair.changed),
            style=None if pair.changed else "dim",
        )
    console.print(table, highlight=False)
    changed = sum(bool(pair.changed) for pair in found.turns)
    console.print(
        "Nothing changed."
        if found.same
        else f"{changed} of {len(found.turns)} turns changed; words: caller "
        f"{found.caller_word_edits}, agent {found.agent_word_edits}.",
        highlight=False,
    )


def _side(pair: Pair, turn: TurnOf | None, other: TurnOf | None) -> Text:
    """One run's turn, words that the other lacks in bold."""
    if turn is None:
        return Text("-")
    theirs = set(other.text.split()) if other is not None else set[str]()
    shown = Text()
    for place, word in enumerate(turn.text.split()):
        style = "bold" if pair.changed and word not in theirs else ""
        shown.append((" " if place else "") + word, style)
    for call in turn.calls:
        shown.append(f"\n{_call(call)}")
    notes = [f"{turn.gap_ms:.0f} ms"] if turn.gap_ms is not None else []
    notes += [turn.tone] if turn.tone not in (None, "neutral") else []
    notes += ["interrupted"] if turn.interrupted else []
    if notes:
        shown.append(f"\n({', '.join(notes)})")
    return shown


def _call(call: MadeCall) -> str:
    return f"{call.name}({json.dumps(call.arguments, ensure_ascii=False)})"


def _version(name: str) -> str:
    return name or "an unknown bundle"


def _mark(fingerprint: str | None) -> str:
    return f" ({fingerprint})" if fingerprint else ""
