"""`antiphon store`: the calls that a server kept; look, export, erase, and prove."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from antiphon.cli.options import Json
from antiphon.cli.store_options import AuditKey, Url, Where, installed, opened
from antiphon.errors import AntiphonError

if TYPE_CHECKING:
    from antiphon.serving.store import CallRecord, Filter

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    help="Calls that a server kept: list, show, export, erase them, and verify the audit log.",
)

Ids = Annotated[list[str] | None, typer.Argument(help="Ids of calls.")]
Query = Annotated[str | None, typer.Option("--q", help="Words that were said.")]
Since = Annotated[datetime | None, typer.Option(help="Begun at or after, in UTC.")]
Until = Annotated[datetime | None, typer.Option(help="Begun before, in UTC.")]
Bundle = Annotated[str | None, typer.Option("--bundle", help="Answered by this agent.")]
KeyId = Annotated[str | None, typer.Option("--key", help="Made with the API key of this id.")]
Caller = Annotated[str | None, typer.Option("--caller", help="Made by this caller.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


@app.command("list")
def list_(
    q: Query = None,
    since: Since = None,
    until: Until = None,
    bundle: Bundle = None,
    key: KeyId = None,
    caller: Caller = None,
    limit: Annotated[int, typer.Option(min=1, max=200, help="Calls a page.")] = 20,
    cursor: Annotated[str | None, typer.Option(help="Where the page before ended.")] = None,
    store: Where = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Calls, the newest first.

    Examples:

        antiphon store list --since 2026-11-01 --q "oat milk"

        antiphon store list --json --limit 200 | jq -r '.calls[].id'
    """
    installed()
    from antiphon.serving.store import Filter

    chosen = Filter(
        q=q,
        since=since,
        until=until,
        bundle=bundle,
        key=key,
        caller=caller,
        limit=limit,
        cursor=cursor,
    )
    with opened(store, url) as there:
        page = there.calls(chosen)
    if as_json:
        typer.echo(page.model_dump_json(indent=1))
        return
    for call in page.calls:
        length = "   live" if call.seconds is None else f"{call.seconds:6.1f}s"
        typer.echo(
            f"{call.started:%Y-%m-%d %H:%M:%S}  {call.id}  {length}  {call.bundle:<10} "
            f"{call.turn_count:3d} turns  {call.recording:<8}  {call.first_words}"
        )
    if not page.calls:
        typer.echo("No calls.")
    if page.next_cursor:
        typer.echo(f"More: --cursor {page.next_cursor}")


@app.command()
def show(
    call: Annotated[str, typer.Argument(help="The id of a call.")],
    events: Annotated[bool, typer.Option(help="Its events, too.")] = False,
    store: Where = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """A call: who said what and when, what was called, and where the recording lies.

    Examples:

        antiphon store show call_5f0c2a9d41b7

        antiphon store show call_5f0c2a9d41b7 --json | jq .tool_calls
    """
    with opened(store, url) as there:
        record = there.call(call)
        recording = there.recording(call)
    if as_json:
        typer.echo(record.model_dump_json(indent=1))
        return
    for line in _lines(record, events):
        typer.echo(line)
    typer.echo(f"Recording: {recording or record.call.recording}")


@app.command()
def export(
    out: Annotated[Path, typer.Option(help="A new folder for a corpus of these calls.")],
    calls: Ids = None,
    q: Query = None,
    since: Since = None,
    until: Until = None,
    bundle: Bundle = None,
    key: KeyId = None,
    caller: Caller = None,
    store: Where = None,
    url: Url = None,
    audit_key: AuditKey = None,
) -> None:
    """Write calls as a corpus: FLAC, words, turns, tool calls; all that are over and chosen.

    What the folder holds: antiphon corpus show OUT. To train on it: antiphon corpus import.

    Examples:

        antiphon store export --out mine --since 2026-11-01 --bundle cafe

        antiphon store export call_5f0c2a9d41b7 --out one

        antiphon store export --caller "+49 30 901820" --out what-we-know-of-you
    """
    chosen = _filter(calls, q, since, until, bundle, key, caller)
    with opened(store, url, audit_key) as there:
        made = there.export(out, chosen)
    typer.echo(f"{out}: {made.recorded} conversations")
    if made.unrecorded:
        typer.echo(f"{out / 'words'}: {made.unrecorded} calls without a recording")


@app.command()
def erase(
    calls: Ids = None,
    caller: Caller = None,
    recordings: Annotated[bool, typer.Option(help="Only the recordings of the calls.")] = False,
    yes: Yes = False,
    store: Where = None,
    url: Url = None,
    audit_key: AuditKey = None,
) -> None:
    """Erase calls with everything that is kept of them, or every call of one caller.

    Backups that hold them are not changed: see docs/guides/store.md for what they need.

    Examples:

        antiphon store erase call_5f0c2a9d41b7

        antiphon store erase --caller "+49 30 901820" --yes

        antiphon store erase call_5f0c2a9d41b7 --recordings
    """
    if bool(calls) == bool(caller):
        raise AntiphonError("name the calls to erase, or give --caller; one of the two")
    if recordings and caller:
        raise AntiphonError("--recordings goes with ids of calls, not with --caller")
    with opened(store, url, audit_key) as there:
        if caller:
            found = there.ids(_filter(None, caller=caller))
            _ask(f"Erase {len(found)} calls of {caller}?", yes)
            gone = there.erase_caller(caller)
        else:
            names = calls or []
            for name in names:
                there.call(name)
            what = "the recordings of " if recordings else ""
            _ask(f"Erase {what}{len(names)} calls?", yes)
            if recordings:
                for name in names:
                    there.erase_recording(name)
                gone = names
            else:
                gone = there.erase(names)
    typer.echo(f"{len(gone)} erased.")


@app.command()
def retain(
    calls_days: Annotated[
        float | None, typer.Option(min=0.0, help="Erase calls that are older, in days.")
    ] = None,
    recordings_days: Annotated[
        float | None, typer.Option(min=0.0, help="Erase recordings that are older, in days.")
    ] = None,
    dry: Annotated[bool, typer.Option("--dry-run", help="Only say what would be erased.")] = False,
    store: Where = None,
    url: Url = None,
    audit_key: AuditKey = None,
) -> None:
    """Erase what is older than its limit; a running server does the same by its configuration.

    Examples:

        antiphon store retain --calls-days 90 --recordings-days 30 --dry-run

        antiphon store retain --calls-days 90 --recordings-days 30
    """
    installed()
    from antiphon.serving.store import Retention

    if calls_days is None and recordings_days is None:
        raise AntiphonError("give --calls-days, --recordings-days or both")
    if calls_days == 0 or recordings_days == 0:
        raise AntiphonError("a limit is more than 0 days; to erase a call at once: store erase")
    limits = Retention(calls_days=calls_days, recordings_days=recordings_days)
    with opened(store, url, audit_key) as there:
        gone = there.retain(limits, dry=dry)
    would = "would be " if dry else ""
    typer.echo(f"{len(gone['call'])} calls and {len(gone['recording'])} recordings {would}erased.")


@app.command()
def verify(
    head: Annotated[
        str | None, typer.Option(help="SEQ:HASH that an earlier run printed and you kept.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Do not read the recordings.")] = False,
    accept: Annotated[
        bool,
        typer.Option("--accept", help="Go on from the log as it is, and say so in it."),
    ] = False,
    store: Where = None,
    url: Url = None,
    audit_key: AuditKey = None,
) -> None:
    """Whether the audit log and the calls are as they were written; status 1 if not.

    Prints the log's last entry: keep it elsewhere, and give it to a later run as --head. After a
    backup was restored, --accept makes the older log the one to go on from.

    Examples:

        antiphon store verify

        antiphon store verify --head 1207:9b1c...
    """
    installed()
    from antiphon.serving.store.audit import Head

    known = Head.parse(head) if head is not None else None
    with opened(store, url, audit_key) as there:
        found = [str(problem) for problem in there.verify(head=known, recordings=not quick)]
        if accept:
            there.ledger.accept()
        last = there.head()
    for line in found:
        typer.echo(line)
    if found:
        typer.echo(f"{len(found)} problems.{' Accepted.' if accept else ''}")
    else:
        typer.echo(f"As it was written: {last.seq} entries.")
    typer.echo(f"Head: {last}")
    if found and not accept:
        raise typer.Exit(1)


def _filter(
    calls: list[str] | None,
    q: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    bundle: str | None = None,
    key: str | None = None,
    caller: str | None = None,
) -> Filter:
    installed()
    from antiphon.serving.store import Filter

    chosen: dict[str, Any] = {"q": q, "since": since, "until": until, "bundle": bundle}
    return Filter(**chosen, key=key, caller=caller, ids=tuple(calls or ()))


def _lines(record: CallRecord, events: bool) -> list[str]:
    call = record.call
    lines = [
        f"{call.id}  {call.bundle}, {call.protocol}, key {call.key or 'none'}",
        f"{call.started:%Y-%m-%d %H:%M:%S} UTC, "
        + ("going on" if call.seconds is None else f"{call.seconds:.1f} s, {call.reason}"),
    ]
    if record.latencies.answers:
        about = record.latencies
        lines.append(
            f"Answers: {about.answers}, P50 {about.p50_ms:.0f} ms, P95 {about.p95_ms:.0f} ms"
        )
    timed: list[tuple[float, str]] = []
    for turn in record.turns:
        gap = f"  ({turn.gap_ms:.0f} ms)" if turn.gap_ms is not None else ""
        cut = "  [interrupted]" if turn.interrupted else ""
        timed.append((turn.start, f"{turn.speaker:<6}  {turn.text}{gap}{cut}"))
        for tool in record.tool_calls:
            if tool.turn == turn.index:
                given = json.dumps(tool.arguments, ensure_ascii=False)
                timed.append((turn.start, f"call    {tool.name}({given})"))
    for pause in record.pauses:
        end = "the end" if pause.end is None else f"{pause.end:.2f}"
        timed.append((pause.start, f"pause   nothing was kept until {end}"))
    if events:
        for event in record.events:
            data = json.dumps(event.data, ensure_ascii=False)
            timed.append((event.time, f"event   {event.type} {data}"))
    timed.sort(key=lambda row: row[0])
    return lines + [f"{time:8.2f}  {text}" for time, text in timed]


def _ask(question: str, yes: bool) -> None:
    if not yes:
        typer.confirm(question, abort=True)
