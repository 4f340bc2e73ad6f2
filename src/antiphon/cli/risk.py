"""`antiphon risk`: how risky recorded calls were, and what the guard finds in them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from antiphon.cli.options import Json

if TYPE_CHECKING:
    from antiphon.guard.replay import Recorded, Seen
    from antiphon.guard.risk import Risk

_NAMES = {
    "hallucination": "turns with an unsupported claim",
    "invalid_calls": "tool calls that may not go out",
    "violations": "turns with something unsafe, forbidden or personal",
    "over_blocks": "blocks that were wrong, of blocks",
    "heard": "blocks that came too late, of blocks",
    "silence_answers": "answers to silence, a minute",
    "noise_answers": "answers to noise, a minute",
    "divergence": "speech against text, CER",
    "confidence": "mean confidence",
    "ece": "expected calibration error",
    "out_of_domain": "callers' turns out of the domain",
    "frustration": "callers' turns in an annoyed tone",
    "repeats": "callers' turns that say it again",
    "faults": "engine faults, a minute",
    "missed": "missed deadlines, a minute",
}
_SHOWN = 20  # findings that are printed


def risk(
    source: Annotated[
        Path,
        typer.Argument(
            help="A folder of trials (`antiphon eval --out`), or one in which a server keeps calls."
        ),
    ],
    scenario: Annotated[
        str, typer.Option(help="The line's scenario: a file, or a bundle's name or folder.")
    ] = "cafe",
    url: Annotated[
        str | None, typer.Option(help="The database of a store that is not in its folder.")
    ] = None,
    most: Annotated[int, typer.Option(min=1, help="Calls that are looked at, newest first.")] = (
        1000
    ),
    judge: Annotated[
        bool, typer.Option("--judge", help="Read the agent's voice back too; takes longer.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Review recorded calls with the scenario's guard, and print what they come to.

    Every call is played through the guard again: what it would have blocked is listed with its
    reason, and the risk figures of docs/guides/safety.md are printed with 95 % intervals.

    Examples:

        antiphon risk reports/cafe

        antiphon risk ~/.local/share/antiphon/calls --scenario cafe --json
    """
    from antiphon.guard.checks import Rulebook
    from antiphon.guard.monitor import Monitor
    from antiphon.guard.replay import review

    rules = Rulebook(_scenario(scenario))
    ear = None
    if judge:
        from antiphon.evaluation.judge import bundled_judge

        found = bundled_judge("agent")
        ear = found.transcribe if found is not None else None
    monitor = Monitor(rules)
    seen: list[Seen] = []
    at = 0.0
    for call in _calls(source, url, most):
        seen.append(review(rules, call, monitor, judge=ear, at=at))
        at += max((event.time for event in call.told), default=0.0)
    total = monitor.risk()
    if as_json:
        print(json.dumps(_json(total, seen), indent=2))
    else:
        _print(total, seen)


def _scenario(name: str) -> Any:
    from antiphon.bundle import find, load
    from antiphon.corpus.scenario import load_scenario

    path = Path(name)
    return load_scenario(path if path.is_file() else load(find(name)).scenario)


def _calls(source: Path, url: str | None, most: int) -> Iterator[Recorded]:
    """The calls that are kept there. Raises CorpusError, StoreError."""
    from antiphon.errors import CorpusError

    trials = sorted(source.rglob("*.flac"))
    # A store's recordings have no notes beside them.
    if url is None and trials and trials[0].with_suffix(".json").exists():
        for path in trials[:most]:
            yield _trial(path, source)
        return
    if url is not None or (source / "calls.db").exists():
        yield from _stored(source, url, most)
        return
    raise CorpusError(
        f"{source}: here are neither trials of an evaluation nor a store of calls (calls.db)"
    )


def _trial(path: Path, source: Path) -> Recorded:
    from antiphon.evaluation.trial import load
    from antiphon.guard.replay import Recorded

    trial = load(path)
    return Recorded(str(path.relative_to(source)), tuple(trial.told), trial.agent)


def _stored(folder: Path, url: str | None, most: int) -> Iterator[Recorded]:
    from pydantic import TypeAdapter, ValidationError

    from antiphon.audio.io import read
    from antiphon.guard.events import GuardEvent
    from antiphon.guard.replay import Recorded
    from antiphon.runtime.events import Event
    from antiphon.serving.store import Filter, Store, StoreConfig

    told_of: TypeAdapter[Event] = TypeAdapter(Event)
    with Store.open(StoreConfig(folder=folder, url=url)) as store:
        for call_id in store.ids(Filter())[:most]:
            record, sound = store.call(call_id), store.recording(call_id)
            told: list[Event] = []
            guard: list[GuardEvent] = []
            for event in record.events:
                data = {"time": event.time, **event.data, "type": event.type}
                try:
                    if event.type == "guard":
                        guard.append(GuardEvent.model_validate(data))
                    else:
                        data.pop("id", None)  # of a tool call
                        told.append(told_of.validate_python(data))
                except ValidationError:
                    continue  # an event that is none of the runtime's
            agent = read(sound, mono=False)[1] if sound is not None else None
            yield Recorded(call_id, tuple(told), agent, tuple(guard))


def _json(total: Risk, seen: list[Seen]) -> dict[str, Any]:
    return {
        "risk": total.model_dump(),
        "calls": [
            {"name": each.name, "events": [event.model_dump() for event in each.events]}
            for each in seen
        ],
    }


def _print(total: Risk, seen: list[Seen]) -> None:
    console = Console()
    console.print(
        f"{total.calls} calls, {total.minutes:.1f} minutes, {total.blocks} blocks",
        style="bold",
        highlight=False,
    )
    table = Table(show_header=False)
    for name, rate in total.rates.items():
        if rate.value is not None:
            table.add_row(_NAMES.get(name, name), str(rate))
    console.print(table, highlight=False)
    found = [(each.name, event) for each in seen for event in each.events]
    found = [(name, event) for name, event in found if event.action not in ("resumed", "level")]
    checks = Counter(event.check for _, event in found)
    if checks:
        counted = ", ".join(f"{check} {count}" for check, count in checks.most_common())
        console.print(f"findings: {counted}", highlight=False)
    for name, event in found[:_SHOWN]:
        console.print(f"{name} at {event.time:.1f} s: {event.action}: {event.reason}", markup=False)
    if len(found) > _SHOWN:
        console.print(f"... and {len(found) - _SHOWN} more; --json has them all", highlight=False)
