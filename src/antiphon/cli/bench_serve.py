"""`antiphon bench serve`: many calls at once to a server, in real time, and what callers heard."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from antiphon.cli.options import Bundle, Json, Seed
from antiphon.cli.server_options import Key, Model
from antiphon.errors import CorpusError

if TYPE_CHECKING:
    from antiphon.client.events import ToolCall
    from antiphon.client.load import Bench, Figures, Judge, Recording, Spread
    from antiphon.client.load import Progress as Far
    from antiphon.evaluation.commands import Clip

_ENDINGS = (".wav", ".flac")
_SLOW = 20.0  # ms by which the generator may be late without being told of
_REASONS = 3  # why calls failed: so many are printed


def serve(
    url: Annotated[str, typer.Argument(help="The server's address: ws://host:port.")],
    audio: Annotated[
        Path,
        typer.Option(help="Folder of WAV and FLAC; its manifest.jsonl says what they order."),
    ],
    sessions: Annotated[int, typer.Option("--sessions", "-n", min=1, help="Calls at once.")] = 16,
    seconds: Annotated[float, typer.Option(min=1, help="Calls begin for so long.")] = 60.0,
    alone: Annotated[
        bool, typer.Option("--alone", help="One caller first, for as long, to hold it against.")
    ] = False,
    buffer: Annotated[
        float, typer.Option(min=0, help="The player's buffer against late sound, milliseconds.")
    ] = 60.0,
    bundle: Bundle = "cafe",
    model: Model = None,
    key: Key = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Speak recordings to a server, many at once and in real time, and report what callers heard.

    Each caller speaks a recording, hears the answer out, hangs up and calls again. The bundle's
    scenario says whether the calls of tools are what the manifest has; --seed is that of the
    recordings' order.

    Examples:

        antiphon bench serve ws://127.0.0.1:8080 --sessions 16 --audio barista/ --seconds 600

        antiphon bench serve ws://127.0.0.1:8080 -n 4 --audio barista/ --alone --json
    """
    from antiphon.client.client import Client
    from antiphon.client.load import bench

    client = Client(url, key)
    clips = _clips(audio)
    random.Random(seed).shuffle(clips)
    recordings = [_recording(clip) for clip in clips]
    with _progress(seconds, sessions, quiet=as_json) as tell:
        made = asyncio.run(
            bench(
                client,
                recordings,
                sessions=sessions,
                seconds=seconds,
                alone=alone,
                model=model,
                buffer=buffer / 1e3,
                judge=_judge(bundle, clips),
                progress=tell,
            )
        )
    if as_json:
        print(made.model_dump_json(indent=2))
    else:
        show(made)


def _clips(folder: Path) -> list[Clip]:
    """A folder's recordings: its manifest's, else all. Raises CorpusError if there are none."""
    from antiphon.evaluation.commands import Clip, read_manifest

    if not folder.is_dir():
        raise CorpusError(f"{folder}: is no folder of recordings")
    if (folder / "manifest.jsonl").is_file():
        return read_manifest(folder)
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in _ENDINGS)
    if not found:
        raise CorpusError(f"{folder}: holds no recordings ({', '.join(_ENDINGS)})")
    return [Clip(path=path) for path in found]


def _recording(clip: Clip) -> Recording:
    from antiphon.audio import SAMPLE_RATE
    from antiphon.audio.io import read
    from antiphon.audio.resample import resample
    from antiphon.client.load import Recording
    from antiphon.client.sound import RATE
    from antiphon.runtime.latency import speech_end

    samples = read(clip.path)
    end = speech_end(samples)
    return Recording(
        str(clip.path),
        resample(samples, SAMPLE_RATE, RATE),
        len(samples) / SAMPLE_RATE if end is None else end,
    )


def _judge(bundle: str, clips: Sequence[Clip]) -> Judge | None:
    """Whether calls put exactly one item with the manifest's slots on order."""
    wanted = {str(clip.path): clip.slots for clip in clips if clip.slots is not None}
    if not wanted:
        return None
    from antiphon.bundle import find, load
    from antiphon.corpus.order import fold
    from antiphon.corpus.scenario import load_scenario

    scenario = load_scenario(load(find(bundle)).scenario)

    def judge(recording: Recording, calls: Sequence[ToolCall]) -> bool | None:
        if recording.name not in wanted:
            return None
        order = fold(calls, scenario)
        items: list[dict[str, str]] = order["items"] if order else []
        return len(items) == 1 and scenario.manifest_slots(items[0]) == wanted[recording.name]

    return judge


@contextmanager
def _progress(
    seconds: float, sessions: int, *, quiet: bool
) -> Generator[Callable[[str, Far], None]]:
    console = Console(stderr=True)
    hidden = quiet or not console.is_terminal
    with Progress(console=console, transient=True, disable=hidden) as progress:
        tasks = {
            "alone": progress.add_task("one call alone", total=seconds, visible=False),
            "together": progress.add_task(f"{sessions} calls at once", total=seconds),
        }

        def tell(name: str, far: Far) -> None:
            what = "one call alone" if name == "alone" else f"{sessions} calls at once"
            progress.update(
                tasks[name],
                visible=True,
                completed=far.share * seconds,
                description=f"{what}: {far.open} open, {far.calls} held, {far.refused} refused, "
                f"{far.failed} failed",
            )

        yield tell


# -- the table ------------------------------------------------------------------------------------

_Value = float | int | None
_ROWS: tuple[tuple[str, Callable[[Figures], _Value], str], ...] = (
    ("calls at once, at most", lambda f: f.at_once, "d"),
    ("calls held to their end", lambda f: f.calls, "d"),
    ("refused", lambda f: f.refused, "d"),
    ("failed", lambda f: f.failed, "d"),
    ("answered", lambda f: f.answered, "d"),
    ("answered right, of those judged", lambda f: f.right_share, ".3f"),
    ("first audio after the last word, P50", lambda f: _of(f.first_audio_ms, "p50"), "ms"),
    ("first audio after the last word, P90", lambda f: _of(f.first_audio_ms, "p90"), "ms"),
    ("first audio after the last word, P95", lambda f: _of(f.first_audio_ms, "p95"), "ms"),
    ("until the session was ready, P95", lambda f: _of(f.setup_ms, "p95"), "ms"),
    ("until a refusal, P95", lambda f: _of(f.refused_ms, "p95"), "ms"),
    ("the agent's voice", lambda f: f.sound_seconds, "s"),
    ("gaps in it", lambda f: f.gaps, "d"),
    ("calls with gaps", lambda f: f.calls_with_gaps, "d"),
    ("its pieces that came too late", lambda f: f.late_share, ".3%"),
    ("silence put in", lambda f: f.gap_seconds, "s"),
    ("longest gap", lambda f: f.gap_worst_ms, "ms"),
    ("generator: sound sent late, P99", lambda f: f.generator.sent_late_p99, "ms"),
    ("generator: sound sent late, worst", lambda f: f.generator.sent_late_worst, "ms"),
    ("generator: event loop late, P99", lambda f: f.generator.loop_late_p99, "ms"),
    ("generator: event loop late, worst", lambda f: f.generator.loop_late_worst, "ms"),
    ("generator: cores used", lambda f: f.generator.cores, ".2f"),
)


def show(made: Bench) -> None:
    """The figures as a table."""
    console = Console()
    head = f"{made.server}: {made.recordings} recordings, player's buffer {made.buffer_ms:.0f} ms"
    console.print(head, style="bold", highlight=False)
    table = Table()
    table.add_column("what")
    if made.alone is not None:
        table.add_column("alone", justify="right")
    table.add_column(f"{made.together.sessions} at once", justify="right")
    if made.alone is not None:
        table.add_column("ratio", justify="right")
    for what, value, form in _ROWS:
        together = value(made.together)
        if made.alone is None:
            table.add_row(what, _shown(together, form))
            continue
        alone = value(made.alone)
        table.add_row(what, _shown(alone, form), _shown(together, form), _ratio(alone, together))
    if made.same is not None:
        same = made.same
        what = f"answered right, the same {same.recordings} recordings"
        shown = _shown(same.alone, ".3f"), _shown(same.together, ".3f")
        table.add_row(what, *shown, _ratio(same.alone, same.together))
    console.print(table, highlight=False)
    for name, figures in (("alone", made.alone), ("at once", made.together)):
        if figures is not None:
            _remark(console, name, figures)


def _remark(console: Console, name: str, figures: Figures) -> None:
    for reason, count in list(figures.reasons.items())[:_REASONS]:
        console.print(f"{name}: {count} failed: {reason}", highlight=False)
    late = max(figures.generator.sent_late_p99, figures.generator.loop_late_p99)
    if late > _SLOW:
        console.print(
            f"{name}: this generator was itself up to {late:.0f} ms late (P99); that is in the "
            "figures above. Run it on another machine, or with fewer --sessions.",
            highlight=False,
        )


def _of(spread: Spread | None, which: str) -> float | None:
    return None if spread is None else getattr(spread, which)


def _shown(value: _Value, form: str) -> str:
    if value is None:
        return "-"
    if form in ("ms", "s"):
        return f"{value:.0f} ms" if form == "ms" else f"{value:.1f} s"
    return format(value, form)


def _ratio(alone: _Value, together: _Value) -> str:
    if alone is None or together is None or alone <= 0:
        return ""
    return f"{together / alone:.2f}"
