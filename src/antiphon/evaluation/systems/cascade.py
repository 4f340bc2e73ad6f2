"""The cascade as a system under test: in process, its clock simulated.

Run as a program it tells what the cascade makes of recordings of orders, and of other speech:
python -m antiphon.evaluation.systems.cascade scenarios/cafe.yaml MANIFEST [--other FOLDER]
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, cast

import typer

from antiphon.cascade import Cascade, CascadeSession
from antiphon.errors import AntiphonError
from antiphon.evaluation.commands import Clip, Outcome, judge, other_clips, read_manifest, report
from antiphon.evaluation.protocol import Heard
from antiphon.runtime.agent import Agent
from antiphon.runtime.events import Samples


class CascadeSystem:
    """A cascade as a system under test."""

    live = False

    def __init__(self, cascade: Cascade, name: str = "cascade") -> None:
        self._cascade, self._name = cascade, name

    @property
    def name(self) -> str:
        """How reports call it."""
        return self._name

    @contextmanager
    def call(self, seed: int) -> Generator[CascadeLine]:
        """A session with this seed."""
        with self._cascade.session(seed) as session:
            yield CascadeLine(session)


class CascadeLine:
    """A session; its ticks are the protocol's."""

    def __init__(self, session: CascadeSession) -> None:
        self._session = session

    def push(self, caller: Samples, /) -> Heard:
        """20 ms of the caller."""
        agent, told = self._session.push(caller)
        return Heard(agent, told)


def judge_orders(
    cascade: Cascade, clips: Sequence[Clip], progress: Callable[[], None] | None = None
) -> list[Outcome]:
    """`commands.judge` every clip; costs are told for 80 ms. Raises AudioError."""
    outcomes: list[Outcome] = []
    for clip in clips:
        # The judge asks an agent for its answers and its scenario alone, and a cascade has both.
        outcomes.append(judge(cast(Agent, cascade), clip))
        if progress is not None:
            progress()
    return outcomes


def main(
    scenario: Annotated[Path, typer.Argument(help="The scenario file.")],
    manifest: Annotated[Path, typer.Argument(help="Recordings of orders: path and slots.")],
    other: Annotated[Path | None, typer.Option(help="A folder of other speech.")] = None,
    limit: Annotated[int | None, typer.Option(help="Only so many of each, drawn by seed.")] = None,
    seed: Annotated[int, typer.Option(help="Of the drawing.")] = 0,
) -> None:
    """Acceptance, confusions, false orders and costs of the cascade."""
    try:
        cascade = Cascade.load(scenario)
        orders = _drawn(read_manifest(manifest), limit, seed)
        others = _drawn(other_clips(other), limit, seed) if other else None
        with _bar(len(orders) + len(others or ())) as step:
            outcomes = judge_orders(cascade, orders, step)
            heard = None if others is None else judge_orders(cascade, others, step)
    except AntiphonError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from None
    figures = report(outcomes, bundle="cascade", data=str(manifest), seed=seed, other=heard)
    typer.echo(figures.model_dump_json(indent=2))


def _drawn(clips: list[Clip], limit: int | None, seed: int) -> list[Clip]:
    return random.Random(seed).sample(clips, min(limit or len(clips), len(clips)))


@contextmanager
def _bar(length: int) -> Generator[Callable[[], None]]:
    """Shows a bar while it is stepped."""
    with typer.progressbar(length=length, file=sys.stderr) as bar:
        yield lambda: bar.update(1)


if __name__ == "__main__":
    typer.run(main)
