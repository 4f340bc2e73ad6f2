"""Command acceptance: recordings of orders through the streaming agent, judged by the last order.

A command is accepted when the order that stands after the recording is one item with exactly the
slots that its manifest line says. Noise is mixed in by the loudest 2,048-sample block of each
signal, as the published benchmark does; latency is measured on the clean recording's own end.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

from pydantic import BaseModel, ConfigDict, ValidationError

from antiphon.audio.augment import mix_at_snr
from antiphon.audio.io import read
from antiphon.corpus.calls import Call
from antiphon.corpus.order import effects
from antiphon.corpus.scenario import load_scenario
from antiphon.errors import AntiphonError, CorpusError
from antiphon.evaluation.statistics import Share, percentile, share, slot_f1
from antiphon.runtime.agent import Agent, Answer
from antiphon.runtime.events import CallEvent, Samples
from antiphon.runtime.latency import replies, speech_end

AUDIO_ENDINGS = (".wav", ".flac", ".ogg", ".mp3", ".aiff")
NOTHING = "(nothing)"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class Noise(_Frozen):
    """A noise recording and the signal-to-noise ratio to mix it in at, in dB."""

    path: Path
    snr: float


class Clip(_Frozen):
    """One recording; `slots` is what it orders, None for speech that orders nothing."""

    path: Path
    slots: dict[str, str] | None = None


class Outcome(_Frozen):
    """What the agent made of one clip."""

    clip: Clip
    heard: dict[str, str]
    """Slots of the last item of the order that stands, under the manifest's names."""
    items: int
    """How many items stand on order."""
    ordered: bool
    """Whether any call put or changed something on order."""
    agrees: bool | None
    """Whether each such call is what its reply says; None without a call or a reply."""
    answered: bool
    """Whether the agent could be heard after the caller."""
    caller_text: str
    agent_text: str
    calls: list[dict[str, Any]]
    first_audible: float | None
    frame_p50: float
    frame_p99: float
    real_time_factor: float

    @property
    def accepted(self) -> bool:
        """Exactly the wanted slots, and nothing else on order."""
        return self.items == 1 and self.heard == self.clip.slots


class Confusion(_Frozen):
    """`count` clips in which `slot` was `wanted` and `heard` came out."""

    slot: str
    wanted: str
    heard: str
    count: int


class Report(_Frozen):
    """The figures of one run. Times are milliseconds."""

    bundle: str
    data: str
    noise: str | None
    snr: float | None
    seed: int
    acceptance: Share
    slot_f1: float
    answer_rate: Share
    agreement: Share
    """Orders whose every call is what the agent's text said, of those answered with a text."""
    first_audible_p50: float | None
    first_audible_p90: float | None
    early: Share
    """Answers that began before the caller had ended."""
    frame_p50: float | None
    frame_p99: float | None
    """Median over clips of a clip's 99th percentile."""
    real_time_factor: float | None
    confusions: list[Confusion]
    false_orders: Share | None
    """Clips of other speech that put or changed something on order."""


def read_manifest(path: Path) -> list[Clip]:
    """Clips of a manifest: a JSON object a line with `path` (beside the manifest) and `slots`.

    Raises CorpusError naming the file and line.
    """
    if path.is_dir():
        path = path / "manifest.jsonl"
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CorpusError(f"{path}: cannot be read as a manifest of JSON lines: {error}") from error
    clips: list[Clip] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            fields = json.loads(line)
            clip = Clip(path=path.parent / fields["path"], slots=fields.get("slots"))
        except (ValueError, KeyError, TypeError, AttributeError, ValidationError) as error:
            reason = "has no `path`" if isinstance(error, KeyError) else "is no such object"
            raise CorpusError(
                f"{path}:{number}: this line {reason}; it must be "
                '{"path": "clip.wav", "slots": {"name": "value"}}'
            ) from error
        clips.append(clip)
    if not clips:
        raise CorpusError(f"{path}: the manifest lists no recordings")
    return clips


def other_clips(folder: Path) -> list[Clip]:
    """The recordings in a folder of speech that orders nothing. Raises CorpusError if none."""
    if not folder.is_dir():
        raise CorpusError(f"{folder}: is no folder of recordings")
    found = sorted(p for p in folder.rglob("*") if p.suffix.lower() in AUDIO_ENDINGS)
    if not found:
        raise CorpusError(f"{folder}: holds no recordings ({', '.join(AUDIO_ENDINGS)})")
    return [Clip(path=path) for path in found]


def judge(agent: Agent, clip: Clip, noise: Noise | None = None, seed: int = 0) -> Outcome:
    """Play one clip to the agent. Raises AudioError when it or the noise cannot be used."""
    clean = read(clip.path)
    end = speech_end(clean)
    heard = clean if noise is None else _mixed(clean, noise, clip.path.name)
    answer = agent.answer(heard, seed=seed, caller_end=end)
    scenario = agent.scenario
    does = effects(scenario)
    placed = [call for call in answer.calls if does.get(call.name) in ("add", "change")]
    items: list[dict[str, str]] = answer.order["items"] if answer.order else []
    latency = answer.latency_ms
    return Outcome(
        clip=clip,
        heard=scenario.manifest_slots(items[-1]) if items else {},
        items=len(items),
        ordered=bool(placed),
        agrees=_agrees(agent, answer, placed),
        answered=latency.first_audible is not None if end else bool(replies(answer.audio)),
        caller_text=answer.caller_text,
        agent_text=answer.agent_text,
        calls=answer.as_json()["calls"],
        first_audible=latency.first_audible,
        frame_p50=latency.frame_p50,
        frame_p99=latency.frame_p99,
        real_time_factor=latency.real_time_factor,
    )


def judge_all(
    bundle: Path,
    clips: Sequence[Clip],
    *,
    guard: bool = False,
    rules: Path | None = None,
    noise: Noise | None = None,
    seed: int = 0,
    workers: int = 1,
    progress: Callable[[], None] | None = None,
) -> list[Outcome]:
    """`judge` every clip, in their order, with `workers` processes of one thread each.

    guard: the bundle is behind its guard, and the cascade answers where that says so; rules: a
    scenario whose guard section it takes, in place of the bundle's own.
    """
    outcomes: list[Outcome] = []
    jobs = [(bundle, guard, rules, clip, noise, seed) for clip in clips]
    for outcome in _outcomes(jobs, workers):
        outcomes.append(outcome)
        if progress is not None:
            progress()
    return outcomes


def report(
    outcomes: Sequence[Outcome],
    *,
    bundle: str,
    data: str,
    noise: Noise | None = None,
    seed: int = 0,
    other: Sequence[Outcome] | None = None,
) -> Report:
    """The figures of the outcomes of orders, and of other speech where there is some."""
    n = len(outcomes)
    judged = [outcome.agrees for outcome in outcomes if outcome.agrees is not None]
    firsts = [o.first_audible for o in outcomes if o.first_audible is not None]
    return Report(
        bundle=bundle,
        data=data,
        noise=str(noise.path) if noise else None,
        snr=noise.snr if noise else None,
        seed=seed,
        acceptance=share(sum(outcome.accepted for outcome in outcomes), n),
        slot_f1=slot_f1((outcome.clip.slots or {}, outcome.heard) for outcome in outcomes),
        answer_rate=share(sum(outcome.answered for outcome in outcomes), n),
        agreement=share(sum(judged), len(judged)),
        first_audible_p50=percentile(firsts, 50),
        first_audible_p90=percentile(firsts, 90),
        early=share(sum(first < 0 for first in firsts), len(firsts)),
        frame_p50=percentile([outcome.frame_p50 for outcome in outcomes], 50),
        frame_p99=percentile([outcome.frame_p99 for outcome in outcomes], 50),
        real_time_factor=percentile([outcome.real_time_factor for outcome in outcomes], 50),
        confusions=confusions(outcomes),
        false_orders=None if other is None else share(sum(o.ordered for o in other), len(other)),
    )


def confusions(outcomes: Iterable[Outcome]) -> list[Confusion]:
    """What was confused with what, most frequent first."""
    counted: Counter[tuple[str, str, str]] = Counter()
    for outcome in outcomes:
        wanted, heard = outcome.clip.slots or {}, outcome.heard
        for slot in sorted({*wanted, *heard}):
            pair = (wanted.get(slot, NOTHING), heard.get(slot, NOTHING))
            if pair[0] != pair[1]:
                counted[slot, *pair] += 1
        if outcome.items > 1:
            counted["(items)", "1", str(outcome.items)] += 1
    return [
        Confusion(slot=slot, wanted=wanted, heard=heard, count=count)
        for (slot, wanted, heard), count in counted.most_common()
    ]


def _agrees(agent: Agent, answer: Answer, placed: Sequence[CallEvent]) -> bool | None:
    made = [call for call in placed if answer.reply_to(call)]
    if not made:
        return None
    return all(
        agent.scenario.reply_agrees(
            Call(name=call.name, arguments=call.arguments), answer.reply_to(call)
        )
        for call in made
    )


def _mixed(clean: Samples, noise: Noise, name: str) -> Samples:
    other = read(noise.path)
    # Each clip has its own stretch of the noise, and the same one in every run.
    digest = hashlib.sha256(name.encode()).digest()
    start = int.from_bytes(digest[:8], "little") % max(1, len(other) - len(clean) + 1)
    return mix_at_snr(clean, other[start:], noise.snr)


_Job = tuple[Path, bool, Path | None, Clip, Noise | None, int]


def _outcomes(jobs: Sequence[_Job], workers: int) -> Iterator[Outcome]:
    if workers <= 1 or len(jobs) < 2:
        yield from map(_job, jobs)
        return
    # Spawned, as onnxruntime's threads do not survive a fork.
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(jobs)), mp_context=spawn) as pool:
        try:
            yield from pool.map(_job, jobs)
        except BrokenProcessPool as error:
            raise AntiphonError(
                "a worker process was ended from outside, perhaps for lack of memory; "
                "try fewer --workers"
            ) from error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _job(job: _Job) -> Outcome:
    bundle, guard, rules, clip, noise, seed = job
    return judge(_agent(bundle, guard, rules), clip, noise, seed)


@lru_cache(maxsize=1)
def _agent(bundle: Path, guard: bool, rules: Path | None) -> Agent:
    """The process's one agent."""
    agent = Agent.load(bundle)
    if not guard:
        return agent
    from antiphon.evaluation.systems.guarded import GuardedAgent
    from antiphon.guard.config import guard_of

    config = guard_of(load_scenario(rules)) if rules is not None else None
    # Of an agent only the answers and the scenario are asked for, and this has both.
    return cast(Agent, GuardedAgent(agent, config))
