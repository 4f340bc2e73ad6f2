"""`antiphon corpus`: build conversations, look at one, import others."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from antiphon.errors import CorpusError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    help="Conversations to train on: build them from a scenario, look at one, import others.",
)

_VALID_SHARE = 0.01
VoiceGroup = Literal["train", "natural", "mixed", "test", "natural-test"]


@app.command()
def build(
    scenario: Annotated[Path, typer.Argument(help="A scenario, such as scenarios/cafe.yaml.")],
    out: Annotated[Path, typer.Option(help="The corpus's folder.")],
    conversations: Annotated[
        int, typer.Option(min=1, help="How many, validation included.")
    ] = 1000,
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")] = 1,
    voices: Annotated[
        VoiceGroup, typer.Option(help="Callers to train on, or those held out.")
    ] = "train",
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 2,
    real: Annotated[
        list[Path] | None,
        typer.Option(help="Manifest of recordings for out-of-domain callers; may be repeated."),
    ] = None,
    real_share: Annotated[
        float, typer.Option(min=0, max=1, help="Their share of those turns.")
    ] = 0.5,
    talk: Annotated[
        list[Path] | None,
        typer.Option(help="Text of a sentence a line for the others; may be repeated."),
    ] = None,
    talk_share: Annotated[
        float, typer.Option(min=0, max=1, help="Its share of those turns.")
    ] = 0.5,
) -> None:
    """Build a corpus, or what is missing of it: OUT/train and OUT/valid (1 in 100), or OUT/test.

    Examples:

        antiphon corpus build scenarios/cafe.yaml --out runs/corpus --conversations 10000

        antiphon corpus build scenarios/cafe.yaml --out runs/corpus --voices test --seed 2
    """
    from antiphon.corpus.build import Split
    from antiphon.corpus.build import build as build_corpus

    learnt = not voices.endswith("test")
    valid = round(conversations * _VALID_SHARE) if learnt else 0
    parts: dict[Split, int] = {"train" if learnt else "test": conversations - valid}
    if valid:
        parts["valid"] = valid
    for split, count in parts.items():
        with _bar(split) as progress:
            entries = build_corpus(
                scenario,
                out / split,
                conversations=count,
                seed=seed,
                voices=voices,
                split=split,
                workers=workers,
                real=real or (),
                real_share=real_share,
                talk=talk or (),
                talk_share=talk_share,
                progress=progress,
            )
        hours = sum(entry.duration for entry in entries) / 3600
        typer.echo(f"{out / split}: {len(entries)} conversations, {hours:.2f} hours")


@app.command()
def show(
    corpus: Annotated[Path, typer.Argument(help="A corpus, its index, or one recording in it.")],
    number: Annotated[int, typer.Option(min=0, help="Which conversation, from 0.")] = 0,
    out: Annotated[Path, typer.Option(help="The picture.")] = Path("conversation.png"),
) -> None:
    """Draw one conversation: both waveforms, words on a time axis, turns, pauses and calls.

    Example:

        antiphon corpus show runs/corpus --number 3 --out three.png
    """
    from antiphon.corpus.disk import Corpus, read_conversation
    from antiphon.corpus.importers import AUDIO
    from antiphon.corpus.show import draw

    if corpus.suffix.lower() in AUDIO:
        conversation, title = read_conversation(corpus), corpus.name
    else:
        there = Corpus(corpus)
        if number >= len(there):
            raise CorpusError(f"{corpus} has {len(there)} conversations, numbered from 0")
        conversation, title = there[number], there.entries[number].path
    for turn in conversation.turns():
        typer.echo(f"{turn.start:7.2f}  {turn.speaker:<6}  {turn.data.get('text', '')}")
    typer.echo(f"Picture: {draw(conversation, out, title)}")


@app.command("import")
def import_(
    source: Annotated[
        Path, typer.Argument(help="A moshi-finetune index, or a folder of two-channel recordings.")
    ],
    out: Annotated[Path, typer.Option(help="The new corpus's folder.")],
    agent: Annotated[
        Literal["left", "right"], typer.Option(help="The agent's channel in recordings.")
    ] = "left",
) -> None:
    """Import recordings, each with a transcript (.csv or .json) beside it, or a corpus.

    A transcript has rows of start, end (seconds), speaker (agent or caller) and text.

    Examples:

        antiphon corpus import calls/ --out runs/calls --agent right

        antiphon corpus import moshi-data/train.jsonl --out runs/moshi
    """
    from antiphon.corpus.importers import import_corpus

    with _bar("import") as progress:
        entries = import_corpus(source, out, agent=agent, progress=progress)
    hours = sum(entry.duration for entry in entries) / 3600
    typer.echo(f"{out}: {len(entries)} conversations, {hours:.2f} hours")


@app.command()
def clips(
    corpus: Annotated[Path, typer.Argument(help="A corpus that was built from a scenario.")],
    scenario: Annotated[Path, typer.Option(help="The scenario that it was built from.")],
    out: Annotated[Path, typer.Option(help="Folder for the recordings and their manifest.")],
) -> None:
    """Cut the orders of one item out of a corpus: recordings and a manifest of their slots.

    Example, orders in voices that no training has heard:

        antiphon corpus build scenarios/cafe.yaml --out runs/test --conversations 200 --voices test

        antiphon corpus clips runs/test --scenario scenarios/cafe.yaml --out runs/orders

        antiphon eval commands --data runs/orders/manifest.jsonl
    """
    from antiphon.corpus.clips import cut
    from antiphon.corpus.disk import Corpus
    from antiphon.corpus.scenario import load_scenario

    with _bar("clips") as progress:
        count = cut(Corpus(corpus), load_scenario(scenario), out, progress)
    typer.echo(f"{out / 'manifest.jsonl'}: {count} orders")


@app.command()
def text(
    scenario: Annotated[Path, typer.Argument(help="A scenario, such as scenarios/cafe.yaml.")],
    out: Annotated[Path, typer.Option(help="A text file, a sentence a line.")],
    sentences: Annotated[int, typer.Option(min=1, help="How many, no two alike.")] = 20_000,
    seed: Annotated[int, typer.Option(help="The same seed gives the same sentences.")] = 1,
) -> None:
    """Write what a scenario's callers say, of the conversations that are trained on.

    Example, for `antiphon corpus sentences`:

        antiphon corpus text scenarios/cafe.yaml --out data/orders.txt
    """
    from antiphon.corpus.disk import put
    from antiphon.corpus.scenario import load_scenario
    from antiphon.corpus.sentences import callers_say

    said = callers_say(load_scenario(scenario), sentences, seed)
    put(out, ("\n".join(said) + "\n").encode())
    typer.echo(f"{out}: {len(said)} sentences")


@app.command()
def sentences(
    texts: Annotated[list[Path], typer.Argument(help="Text files, a sentence a line.")],
    out: Annotated[Path, typer.Option(help="Folder for the recordings and their manifest.")],
    clips: Annotated[int, typer.Option(min=1, help="How many; sentences may come again.")] = 6000,
    seed: Annotated[int, typer.Option(help="The same seed gives the same sound.")] = 1,
    voices: Annotated[
        VoiceGroup, typer.Option(help="Callers to train on, or those held out.")
    ] = "train",
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 2,
) -> None:
    """Have callers' voices say the sentences of a text, in any tone: speech for the ears to learn.

    Example, for a recipe's `hearing.real`:

        antiphon corpus sentences data/other_talk.txt --out data/talk --clips 6000
    """
    from antiphon.corpus.sentences import speak

    with _bar("clips") as progress:
        manifest = speak(
            texts,
            out,
            clips=clips,
            seed=seed,
            voices=voices,
            workers=workers,
            progress=progress,
        )
    typer.echo(f"{manifest}: {clips} clips")


@app.command()
def revoice(
    manifest: Annotated[Path, typer.Argument(help="JSON lines of recordings with `text`.")],
    out: Annotated[Path, typer.Option(help="Folder for the recordings and their manifest.")],
    voices: Annotated[VoiceGroup, typer.Option(help="Who says them.")] = "natural-test",
    seed: Annotated[int, typer.Option(help="The same seed gives the same sound.")] = 1,
) -> None:
    """Have other voices say what recordings say; labels such as `slots` stay.

    Example, the same orders from speakers of another kind:

        antiphon corpus revoice runs/orders/manifest.jsonl --out runs/natural-orders

        antiphon eval commands --data runs/natural-orders/manifest.jsonl
    """
    from antiphon.corpus.sentences import revoice as say_again

    with _bar("recordings") as progress:
        made = say_again(manifest, out, voices=voices, seed=seed, progress=progress)
    typer.echo(f"{made}")


@contextmanager
def _bar(what: str) -> Generator[Callable[[int, int], None]]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(what, total=None)

        def tell(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        yield tell
