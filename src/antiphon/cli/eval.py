"""`antiphon eval`: figures of an agent."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from typer.core import TyperGroup

from antiphon.cli.eval_run import run
from antiphon.cli.gallery import gallery
from antiphon.cli.human import human, human_score
from antiphon.cli.options import Bundle, Json, Seed
from antiphon.errors import AntiphonError

if TYPE_CHECKING:
    from antiphon.evaluation.commands import Report
    from antiphon.evaluation.endurance import Exchange
    from antiphon.evaluation.speech import Reading


class _OrRun(TyperGroup):
    """What names no command is a system to run: `eval cafe` is `eval run cafe`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] != "--help":
            args = ["run", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(cls=_OrRun, no_args_is_help=True, add_completion=False, rich_markup_mode=None)
app.command()(run)
app.command()(human)
app.command()(gallery)
app.command("human-score")(human_score)


@app.callback()
def evaluate() -> None:
    """Measure an agent. Without a command's name it is `run`: the standard evaluation.

    Examples:

        antiphon eval cafe --suite all --out report/

        antiphon eval cafe cascade silent talking vad700 echo --out reports/

        antiphon eval commands --data manifest.jsonl

        antiphon eval speech cafe

        antiphon eval codec --codec cafe --corpus runs/corpus/test
    """


@app.command()
def commands(
    data: Annotated[Path, typer.Option(help="Manifest of `path` and `slots` lines.")],
    noise: Annotated[Path | None, typer.Option(help="Recording of noise to mix in.")] = None,
    snr: Annotated[float | None, typer.Option(help="Signal-to-noise ratio in dB.")] = None,
    other: Annotated[
        Path | None, typer.Option(help="Folder of other speech: counts false orders.")
    ] = None,
    bundle: Bundle = "cafe",
    guard: Annotated[
        bool, typer.Option("--guard", help="Behind its guard, with the cascade standing by.")
    ] = False,
    rules: Annotated[
        Path | None, typer.Option(help="With --guard: take the guard section of this scenario.")
    ] = None,
    as_json: Json = False,
    workers: Annotated[int, typer.Option(min=1, help="Processes, of one thread each.")] = 2,
    seed: Seed = 0,
    details: Annotated[
        Path | None, typer.Option(help="File for one JSON line a clip: all that was made of it.")
    ] = None,
    confusions: Annotated[int, typer.Option(help="How many confusions to list.")] = 20,
) -> None:
    """Stream recordings of orders through the agent and count the orders that are exactly right.

    Examples:

        antiphon eval commands --data barista/manifest.jsonl

        antiphon eval commands --data barista/manifest.jsonl --noise kitchen.flac --snr 12

        antiphon eval commands --data barista/manifest.jsonl --other other_speech/ --json

        antiphon eval commands --data barista/manifest.jsonl --guard --rules scenarios/cafe.yaml
    """
    from antiphon.bundle import find, load
    from antiphon.evaluation.commands import Noise, judge_all, other_clips, read_manifest, report

    if (noise is None) != (snr is None):
        raise AntiphonError("--noise and --snr belong together; give both or neither")
    if rules is not None and not guard:
        raise AntiphonError("--rules says how a guard checks; give --guard too")
    mixed = Noise(path=noise, snr=snr) if noise is not None and snr is not None else None
    clips = read_manifest(data)
    others = other_clips(other) if other else []
    folder = load(find(bundle)).folder
    with _progress(len(clips) + len(others), quiet=as_json) as advance:
        made = judge_all(
            folder,
            clips,
            guard=guard,
            rules=rules,
            noise=mixed,
            seed=seed,
            workers=workers,
            progress=advance,
        )
        rest = judge_all(
            folder, others, guard=guard, rules=rules, seed=seed, workers=workers, progress=advance
        )
    if details is not None:
        lines = [outcome.model_dump_json() + "\n" for outcome in [*made, *rest]]
        details.write_text("".join(lines), encoding="utf-8")
    figures = report(
        made,
        bundle=str(folder),
        data=str(data),
        noise=mixed,
        seed=seed,
        other=rest if other else None,
    )
    if as_json:
        print(figures.model_dump_json(indent=2))
    else:
        _print(figures, confusions)


@app.command()
def card(
    bundle: Annotated[Path, typer.Argument(help="The bundle's folder; its card.md is replaced.")],
    data: Annotated[Path, typer.Option(help="Manifest of recordings of real orders.")],
    noise: Annotated[Path, typer.Option(help="Recording of noise, mixed in at 24 and 12 dB.")],
    other: Annotated[Path, typer.Option(help="Folder of other speech.")],
    unseen: Annotated[Path, typer.Option(help="Manifest of orders in voices never trained on.")],
    about: Annotated[Path, typer.Option(help="Markdown that stands above the figures.")],
    workers: Annotated[int, typer.Option(min=1, help="Processes, of one thread each.")] = 2,
    seed: Seed = 0,
) -> None:
    """Measure a bundle on orders and write its card: each figure beside its command.

    Example:

        antiphon eval card bundles/cafe --data barista/manifest.jsonl --noise kitchen.flac
        --other other_speech --unseen runs/orders/manifest.jsonl --about recipes/cafe.card.md
    """
    from antiphon.bundle import load
    from antiphon.evaluation.card import Section, of_commands, put, render
    from antiphon.evaluation.commands import Noise, judge_all, other_clips, read_manifest, report

    folder = load(bundle).folder
    sections: list[Section] = []
    for title, manifest, snr, beside in (
        ("Real people, clean", data, None, other),
        ("Real people, kitchen noise at 24 dB", data, 24.0, None),
        ("Real people, kitchen noise at 12 dB", data, 12.0, None),
        ("Synthetic voices never trained on", unseen, None, None),
    ):
        clips, others = read_manifest(manifest), other_clips(beside) if beside else []
        mixed = Noise(path=noise, snr=snr) if snr is not None else None
        with _progress(len(clips) + len(others), what=title) as advance:
            made = judge_all(
                folder, clips, noise=mixed, seed=seed, workers=workers, progress=advance
            )
            rest = judge_all(folder, others, seed=seed, workers=workers, progress=advance)
        figures = report(
            made,
            bundle=str(folder),
            data=str(manifest),
            noise=mixed,
            seed=seed,
            other=rest if beside else None,
        )
        command = f"antiphon eval commands --bundle {folder.name} --data {_short(manifest)}"
        command += f" --noise {_short(noise)} --snr {snr:g}" if snr is not None else ""
        command += f" --other {_short(beside)}" if beside else ""
        sections.append(of_commands(f"{title} (n = {len(clips)}, seed {seed})", command, figures))
    put(folder, render(folder.name, about.read_text(encoding="utf-8"), sections))
    Console(stderr=True).print(f"{folder / 'card.md'}: {len(sections)} sections")


def _short(path: Path) -> str:
    """The last two parts of a path: a card names data, not somebody's disk."""
    return "/".join(path.parts[-2:])


@app.command()
def speech(
    judge: Annotated[
        Path | None, typer.Option(help="A judge's folder; else the one that comes with Antiphon.")
    ] = None,
    bundle: Annotated[str, typer.Argument(help="The agent: a bundle's name or folder.")] = "cafe",
    data: Annotated[
        Path | None,
        typer.Option(help="Orders: a manifest or a corpus; else made in held-out voices."),
    ] = None,
    answers: Annotated[int, typer.Option(min=1, help="How many orders at most.")] = 200,
    mos: Annotated[int, typer.Option(min=0, help="How many answers DNSMOS judges.")] = 200,
    seed: Seed = 0,
    details: Annotated[Path | None, typer.Option(help="File for one JSON line an answer.")] = None,
    as_json: Json = False,
) -> None:
    """Let a judge read the agent's speech back: against its text, its calls and the voice.

    Examples:

        antiphon eval speech cafe

        antiphon eval speech runs/cafe/bundle --answers 50 --mos 0

        antiphon eval speech cafe --judge runs/judge --data barista/manifest.jsonl --json
    """
    from antiphon.cli.eval_tables import print_speech
    from antiphon.corpus.voices import Voices
    from antiphon.evaluation.codec import naturalness
    from antiphon.evaluation.judge import bundled_judge, load_judge
    from antiphon.evaluation.speech import read_back, report
    from antiphon.evaluation.stimuli import orders
    from antiphon.runtime.agent import Agent

    reader = bundled_judge("agent") if judge is None else load_judge(judge)
    if reader is None:
        raise AntiphonError(
            "no judge came with this antiphon; name one with --judge "
            "(antiphon train recipes/judge.yaml makes it)"
        )
    agent = Agent.load(bundle)
    with _progress(answers, quiet=as_json, what="gathering orders") as advance:
        stimuli = orders(data, agent.scenario, answers, seed=seed, progress=advance)
    readings: list[Reading] = []
    with Voices() as voices, _progress(len(stimuli), quiet=as_json, what="reading back") as advance:
        for number, stimulus in enumerate(stimuli):
            natural = naturalness if number < mos else None
            readings.append(
                read_back(
                    agent, reader, stimulus, voices.agent, seed=seed + number, natural=natural
                )
            )
            advance()
    if details is not None:
        details.write_text("".join(r.model_dump_json() + "\n" for r in readings), encoding="utf-8")
    source = str(data) if data else "made of its scenario, in held-out voices"
    figures = report(readings, bundle=str(agent.bundle.folder), data=source, seed=seed)
    if as_json:
        print(figures.model_dump_json(indent=2))
    else:
        print_speech(figures)


@app.command()
def codec(
    codec: Annotated[Path, typer.Option(help="A codec's folder, or a bundle.")],
    corpus: Annotated[Path, typer.Option(help="A corpus that it was not trained on.")],
    voice: Annotated[
        Literal["agent", "callers", "both"], typer.Option(help="Whose voices.")
    ] = "both",
    utterances: Annotated[int, typer.Option(min=1, help="How many of each side.")] = 40,
    mos: Annotated[bool, typer.Option(help="DNSMOS too, half a second an utterance.")] = True,
    as_json: Json = False,
) -> None:
    """Measure a codec on the agent's voice and on voices that it never saw.

    Build the corpus with `--voices test`, so that its callers are in no training corpus.

    Examples:

        antiphon corpus build scenarios/cafe.yaml --out runs/corpus --voices test --seed 5

        antiphon eval codec --codec runs/cafe/codec/codec --corpus runs/corpus/test

        antiphon eval codec --codec cafe --corpus runs/corpus/test --voice agent --json
    """
    from antiphon.cli.eval_tables import print_codec
    from antiphon.corpus.disk import Corpus
    from antiphon.evaluation import codec as evaluation

    opened, held_out = evaluation.open_codec(codec), Corpus.open(corpus)
    figures: list[evaluation.Figures] = []
    for name in ("agent", "callers") if voice == "both" else (voice,):
        side = "agent" if name == "agent" else "caller"
        sounds, voices = evaluation.utterances(held_out, side, utterances)
        with _progress(len(sounds), quiet=as_json, what=f"measuring {name}") as advance:
            figures.append(
                evaluation.measure(
                    opened, sounds, side=side, voices=voices, natural=mos, progress=advance
                )
            )
    report = evaluation.Report(codec=str(codec), corpus=str(corpus), figures=figures)
    if as_json:
        print(report.model_dump_json(indent=2))
    else:
        print_codec(report)


@app.command()
def styles(
    bundle: Annotated[str, typer.Argument(help="The agent: a bundle's name or folder.")] = "cafe",
    sentences: Annotated[int, typer.Option(min=2, help="How many sentences of its own.")] = 24,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Let the agent speak in every style and at every speed, and measure whether it does.

    Each style must be told from each other by pitch, level and tempo (effect sizes); the sentences
    are drawn from what the agent says in its scenario.

    Examples:

        antiphon eval styles cafe

        antiphon eval styles runs/cafe/bundle --sentences 10 --json
    """
    import random
    from itertools import islice

    from antiphon.cli.eval_tables import print_styles
    from antiphon.corpus.delivery import SPEEDS, STYLES
    from antiphon.corpus.dialogue import agent_sentences
    from antiphon.evaluation.styles import measure, with_agent
    from antiphon.runtime.agent import Agent

    agent = Agent.load(bundle)
    long = (s for s in agent_sentences(agent.scenario, random.Random(seed)) if len(s.split()) > 4)
    chosen = list(dict.fromkeys(islice(long, 4 * sentences)))[:sentences]
    total = len(chosen) * (len(STYLES) + len(SPEEDS))
    with _progress(total, quiet=as_json, what="speaking") as advance:
        figures = measure(
            chosen, with_agent(agent), bundle=agent.bundle.folder.name, seed=seed, advance=advance
        )
    if as_json:
        print(figures.model_dump_json(indent=2))
    else:
        print_styles(figures)


@app.command()
def endurance(
    data: Annotated[
        Path, typer.Option(help="Orders: a manifest of recordings with `path` and `slots`.")
    ],
    bundle: Annotated[str, typer.Argument(help="The agent: a bundle's name or folder.")] = "cafe",
    minutes: Annotated[float, typer.Option(min=0.1, help="Length of a call.")] = 30.0,
    calls: Annotated[int, typer.Option(min=1, help="How many calls.")] = 1,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Hold calls of half an hour, order after order: do they end as they began?

    Examples:

        antiphon eval endurance cafe --data barista/manifest.jsonl

        antiphon eval endurance cafe --data barista/manifest.jsonl --minutes 12 --calls 3 --json
    """
    from antiphon.cli.eval_tables import print_endurance
    from antiphon.evaluation.commands import read_manifest
    from antiphon.evaluation.endurance import hold, report
    from antiphon.runtime.agent import Agent

    agent, clips = Agent.load(bundle), read_manifest(data)
    held: list[list[Exchange]] = []
    with _progress(calls * round(minutes * 60), quiet=as_json, what="calling") as advance:
        for number in range(calls):
            told = 0

            def up_to(seconds: float) -> None:
                nonlocal told
                for _ in range(told, round(min(seconds, minutes * 60))):
                    advance()
                told = max(told, round(min(seconds, minutes * 60)))

            held.append(hold(agent, clips, minutes, seed=seed + number, progress=up_to))
    name = agent.bundle.folder.name
    figures = report(held, bundle=name, data=_short(data), minutes=minutes, seed=seed)
    if as_json:
        print(figures.model_dump_json(indent=2))
    else:
        print_endurance(figures)


@contextmanager
def _progress(
    total: int, *, quiet: bool = False, what: str = "listening"
) -> Generator[Callable[[], None]]:
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=quiet) as progress:
        task = progress.add_task(what, total=total)
        yield lambda: progress.advance(task)


def _print(figures: Report, most: int) -> None:
    console = Console()
    noise = f", {figures.noise} at {figures.snr:g} dB" if figures.noise else ", as recorded"
    head = f"{figures.data}{noise}; bundle {figures.bundle}, seed {figures.seed}"
    console.print(head, style="bold", highlight=False)
    table = Table(show_header=False)
    table.add_row("command acceptance", str(figures.acceptance))
    table.add_row("slot F1", "-" if math.isnan(figures.slot_f1) else f"{figures.slot_f1:.3f}")
    table.add_row("answered", str(figures.answer_rate))
    table.add_row("text and call agree", str(figures.agreement))
    if figures.false_orders is not None:
        table.add_row("false orders on other speech", str(figures.false_orders))
    table.add_row("first audible sample, P50", _ms(figures.first_audible_p50))
    table.add_row("first audible sample, P90", _ms(figures.first_audible_p90))
    table.add_row("began before the caller's end", str(figures.early))
    table.add_row(
        "frame, median and 99th percentile", f"{_ms(figures.frame_p50)}, {_ms(figures.frame_p99)}"
    )
    console.print(table, highlight=False)
    if figures.confusions:
        wrong = Table(title="what was confused with what", title_justify="left")
        for column in ("slot", "wanted", "heard"):
            wrong.add_column(column)
        wrong.add_column("clips", justify="right")
        for entry in figures.confusions[:most]:
            wrong.add_row(entry.slot, entry.wanted, entry.heard, str(entry.count))
        console.print(wrong, highlight=False)


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f} ms" if value >= 100 else f"{value:.1f} ms"
