"""`antiphon talk`: let an agent answer recordings."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from antiphon.cli.options import Bundle, Json, Seed, Speed, Style
from antiphon.cli.server_options import Key, Model
from antiphon.errors import AntiphonError

if TYPE_CHECKING:
    from antiphon.guard.answer import Guarded
    from antiphon.runtime.agent import Answer


def talk(
    files: Annotated[list[Path], typer.Argument(help="Recordings: WAV, FLAC, Ogg, MP3 ...")],
    bundle: Bundle = "cafe",
    out: Annotated[
        Path, typer.Option(help="Folder for reply.wav, call.wav and call.png; made if missing.")
    ] = Path(),
    as_json: Json = False,
    seed: Seed = 0,
    style: Style = None,
    speed: Speed = None,
    realtime: Annotated[
        bool, typer.Option("--realtime", help="Feed the recording at the pace of a call.")
    ] = False,
    guard: Annotated[
        bool, typer.Option("--guard", help="Check what the agent says before it is heard.")
    ] = False,
    url: Annotated[
        str | None,
        typer.Option(help="A server's address: its agent answers, in a call in real time."),
    ] = None,
    key: Key = None,
    model: Model = None,
    patience: Annotated[
        float, typer.Option(min=0.1, help="Seconds to wait for a server's answer.")
    ] = 5.0,
) -> None:
    """Play recordings to an agent, print what it heard and answered, and keep its voice.

    Writes reply.wav (the agent), call.wav (left: agent, right: caller, as played) and call.png
    (the call drawn; not with --json). With several files each name begins with its file's.

    With --guard what it says goes through the safety net of docs/guides/safety.md: what was blocked
    is printed with its reason, and what is written is what a caller would have heard.
    With --url the agent is a server's: the bundle then says only what its calls put on order.

    Examples:

        antiphon talk order.wav

        antiphon talk order.wav --realtime --out heard/

        antiphon talk *.flac --json | jq '.[].order'

        antiphon talk order.wav --guard

        antiphon talk order.wav --url ws://127.0.0.1:8080
    """
    costs = _frames
    guarded: list[Guarded] = []
    if guard and url is not None:
        raise AntiphonError(
            "a server has its own guard (antiphon serve --guard); leave out --guard"
        )
    if guard:
        ask = _guarded(bundle, seed, realtime, style, speed, guarded)
    elif url is None:
        ask = _agent(bundle, seed, realtime, style, speed)
    elif seed:
        raise AntiphonError("a server chooses its calls' seeds itself; leave out --seed")
    elif style is not None or speed is not None:
        raise AntiphonError("a server's agent speaks as it chooses; leave out --style and --speed")
    else:
        from antiphon.cli.remote import Remote, line

        costs = line
        ask = Remote(url, key=key, model=model, bundle=bundle, patience=patience).answer
    out.mkdir(parents=True, exist_ok=True)
    answers: list[dict[str, Any]] = []
    for number, file in enumerate(files):
        answer = ask(file)
        prefix = _prefix(files, number)
        reply = out / f"{prefix}reply.wav"
        written = [reply, *_write(answer, out, prefix)]
        answers.append({"file": str(file), **answer.as_json(str(reply))})
        if guarded:
            answers[-1]["guard"] = [e.model_dump(mode="json") for e in guarded[-1].events]
        if not as_json:
            picture, why_not = _draw(answer, out / f"{prefix}call.png")
            _print(file, answer, [*written, *picture], costs(answer))
            if guarded:
                _print_guard(guarded[-1])
            if why_not:
                print(why_not, file=sys.stderr)
    if as_json:
        print(json.dumps(answers if len(files) > 1 else answers[0], indent=2))


def _agent(
    bundle: str, seed: int, realtime: bool, style: str | None, speed: float | None
) -> Callable[[Path], Answer]:
    """An agent in this process."""
    from antiphon.runtime.agent import Agent

    agent = Agent.load(bundle)
    return lambda file: agent.answer(file, seed=seed, realtime=realtime, style=style, speed=speed)


def _guarded(
    bundle: str,
    seed: int,
    realtime: bool,
    style: str | None,
    speed: float | None,
    kept: list[Guarded],
) -> Callable[[Path], Answer]:
    """An agent in this process behind its guard; what the guard did is added to `kept`."""
    from antiphon.evaluation.judge import bundled_judge
    from antiphon.guard.answer import answer
    from antiphon.guard.opening import open_service
    from antiphon.runtime.agent import Agent

    agent = Agent.load(bundle)
    judge = bundled_judge("agent")
    service = open_service(agent, judge=judge.transcribe if judge else None)

    def ask(file: Path) -> Answer:
        found = answer(agent, service, file, seed=seed, realtime=realtime, style=style, speed=speed)
        kept.append(found)
        return found.answer

    return ask


def _prefix(files: list[Path], number: int) -> str:
    """What tells the written files of several recordings apart, also of the same name."""
    if len(files) == 1:
        return ""
    stem = files[number].stem
    same = [file for file in files if file.stem == stem]
    return f"{stem}-" if len(same) == 1 else f"{stem}-{number + 1}-"


def _write(answer: Answer, out: Path, prefix: str) -> list[Path]:
    import numpy as np

    from antiphon.audio.io import write

    write(out / f"{prefix}reply.wav", answer.audio)
    call = out / f"{prefix}call.wav"
    write(call, np.stack([answer.audio, answer.caller]))
    return [call]


def _draw(answer: Answer, path: Path) -> tuple[list[Path], str]:
    """The picture's path, or why there is none."""
    from antiphon.corpus.show import draw
    from antiphon.runtime.recall import as_conversation

    try:
        draw(as_conversation(answer), path)
    except ImportError as error:
        return [], f"No picture was drawn: {error.name or error} is not installed."
    return [path], ""


def _print(file: Path, answer: Answer, written: list[Path], costs: list[tuple[str, str]]) -> None:
    console = Console()
    seconds = len(answer.caller) / 16_000
    console.print(f"{file}  ({seconds:.1f} s of call)", style="bold", highlight=False)
    facts = Table.grid(padding=(0, 2))
    facts.add_row("heard", answer.caller_text or "(nothing)")
    facts.add_row("answered", answer.agent_text or "(nothing)")
    calls = [f"{call.name} {json.dumps(call.arguments)}" for call in answer.calls]
    facts.add_row("calls", "\n".join(calls) or "(none)")
    facts.add_row("order", json.dumps(answer.order) if answer.order else "(none)")
    console.print(facts, highlight=False)
    latency = answer.latency_ms
    table = Table(title="latency", title_justify="left")
    table.add_column("what")
    table.add_column("value", justify="right")
    first = "(no answer)" if latency.first_audible is None else f"{latency.first_audible:.0f} ms"
    table.add_row("caller's last sound to agent's first", first)
    for what, value in costs:
        table.add_row(what, value)
    console.print(table)
    console.print("wrote " + ", ".join(str(path) for path in written), highlight=False)


def _print_guard(guarded: Guarded) -> None:
    """What the guard did, a line each, and who answered at the end."""
    console = Console()
    for event in guarded.events:
        change = f" {event.data['before']} -> {event.data['after']}" if event.data else ""
        said = f' ("{event.text}")' if event.text else ""
        instead = f'; said instead: "{event.phrase}"' if event.phrase else ""
        line = f"guard at {event.time:.2f} s: {event.action}{change}: {event.reason}{said}{instead}"
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    done = "nothing was blocked" if not guarded.events else f"at the end: {guarded.level}"
    console.print(f"guard: {done}", highlight=False)


def _frames(answer: Answer) -> list[tuple[str, str]]:
    """What the network's frames cost."""
    latency = answer.latency_ms
    return [
        ("frame of 80 ms, median", f"{latency.frame_p50:.1f} ms"),
        ("frame of 80 ms, 99th percentile", f"{latency.frame_p99:.1f} ms"),
        ("real-time factor", f"{latency.real_time_factor:.3f}"),
        ("frames that took longer than 80 ms", str(latency.late_frames)),
    ]
