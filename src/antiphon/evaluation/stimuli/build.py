"""Builds a set of stimuli: which kinds, how many, and each of them from (seed, name) alone.

So the same seed gives the same bytes; after a kill only what is missing is made, for every
finished stimulus is noted at once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

from antiphon.corpus.disk import Corpus, put
from antiphon.corpus.scenario import Scenario
from antiphon.corpus.voices import Voices
from antiphon.errors import CorpusError
from antiphon.evaluation.conditions import CONDITIONS
from antiphon.evaluation.script import Stimulus
from antiphon.evaluation.stimuli import duplex, risk, task, tone
from antiphon.evaluation.stimuli.apart import trained
from antiphon.evaluation.stimuli.collection import (
    FACTS,
    STIMULI,
    SetFacts,
    Size,
    StimulusSet,
    read_facts,
)
from antiphon.evaluation.stimuli.maker import Maker, TooFewSentences
from antiphon.evaluation.stimuli.reader import SentenceReader

_FORMAT = 1
_PART = ".stimuli.part.jsonl"
SUITES = ("task", "duplex", "tone", "risk", "robustness")

_Make = Callable[[Maker, str], Stimulus | None]
_KINDS: dict[str, tuple[_Make, int, int]] = {
    # how many of them in a quick set, and in a full one
    "task/order": (task.single, 14, 160),
    "task/several": (task.several, 4, 60),
    "task/correction": (task.correction, 6, 80),
    "task/cancel": (task.cancel, 3, 40),
    "task/other": (task.other_call, 4, 60),
    "task/conversation": (task.conversation, 8, 100),
    "duplex/turn": (duplex.turn, 8, 120),
    "duplex/pause": (duplex.pause, 20, 120),
    "duplex/barge_in": (duplex.barge_in, 16, 120),
    "duplex/backchannel": (duplex.backchannel, 8, 80),
    "duplex/side_talk": (duplex.side_talk, 6, 80),
    "duplex/noise": (duplex.noise, 8, 80),
    "duplex/monologue": (duplex.monologue, 3, 30),
    "tone/pair": (tone.pair, 24, 120),
    "tone/control": (tone.control, 4, 40),
    "risk/silence": (risk.silence, 4, 80),
    "risk/noise_only": (risk.noise_only, 6, 90),
    "risk/out_of_domain": (risk.out_of_domain, 8, 150),
    "risk/unsafe": (risk.unsafe, 5, 60),
    "risk/safe_lookalike": (risk.safe_lookalike, 4, 50),
}
_QUICK_CONDITIONS = ("snr10", "mulaw", "loss5", "echo-18")
_STRESSED = {"quick": 4, "full": 14}  # orders heard in each condition


def build(
    scenario: Scenario,
    folder: Path,
    *,
    seed: int = 0,
    size: Size = "quick",
    suites: Sequence[str] = SUITES,
    training: Sequence[Path] = (),
    progress: Callable[[int, int], None] | None = None,
) -> StimulusSet:
    """Make the set in `folder`, or what of it is not there yet, and give it.

    suites: of SUITES; "robustness" is orders of the task suite in other conditions of the line.
    training: corpora whose sentences are avoided. progress is told (done, of how many).
    A kind that the scenario has no sentences for is left out, and the set's facts say why.
    Raises CorpusError (another set in the folder, a full disk) and VoiceError where an engine is
    missing.
    """
    unknown = [suite for suite in suites if suite not in SUITES]
    if unknown:
        raise CorpusError(f'there are no stimuli for "{unknown[0]}"; there are {", ".join(SUITES)}')
    wanted = SetFacts(
        format=_FORMAT,
        scenario=scenario.name,
        scenario_sha256=hashlib.sha256(repr(scenario).encode()).hexdigest(),
        seed=seed,
        size=size,
        suites=tuple(suite for suite in SUITES if suite in suites),
        training=tuple(_digest(path) for path in training),
    )
    _agree(folder, wanted)
    if (folder / STIMULI).exists():
        return StimulusSet.open(folder)
    put(folder / FACTS, wanted.model_dump_json(indent=2).encode())
    names = _names(size, wanted.suites)
    avoid = trained(training, SentenceReader(scenario)).sentences if training else frozenset[str]()
    left_out: dict[str, str] = {}
    made = _made(folder / _PART)
    with Voices() as voices, (folder / _PART).open("a", encoding="utf-8") as part:
        maker = Maker(scenario, voices, folder, seed, avoid)
        for done, name in enumerate(names, 1):
            kind = name.rpartition("/")[0]
            if name not in made and kind not in left_out:
                stimulus = _make(maker, kind, name)
                if isinstance(stimulus, str):
                    left_out[kind] = stimulus
                else:
                    made[name] = stimulus
                    part.write(stimulus.model_dump_json() + "\n")
                    part.flush()
            if progress:
                progress(done, len(names))
    stimuli = [made[name] for name in names if name in made]
    if "robustness" in wanted.suites:
        stimuli += stressed(stimuli, _conditions(size), _STRESSED[size])
        stimuli = [s for s in stimuli if s.suite in wanted.suites or s.condition != "clean"]
    rows = "".join(stimulus.model_dump_json() + "\n" for stimulus in stimuli)
    facts = wanted.model_copy(update={"left_out": left_out})
    put(folder / FACTS, facts.model_dump_json(indent=2).encode())
    put(folder / STIMULI, rows.encode())
    (folder / _PART).unlink(missing_ok=True)
    return StimulusSet(folder, facts, stimuli)


def stressed(stimuli: Sequence[Stimulus], conditions: Sequence[str], count: int) -> list[Stimulus]:
    """`count` single orders again in each condition of the line: the same words and voices.

    Their facts say which stimulus each is, `clean`, so that the two can be paired.
    """
    orders = [s for s in stimuli if s.suite == "task" and s.kind == "order"][:count]
    return [
        stimulus.model_copy(
            update={
                "id": f"{stimulus.id}@{condition}",
                "condition": condition,
                "facts": {**stimulus.facts, "clean": stimulus.id},
            }
        )
        for condition in conditions
        for stimulus in orders
    ]


def _make(maker: Maker, kind: str, name: str) -> Stimulus | str:
    """The stimulus, or why the scenario has none."""
    why = "the scenario has no such intent"
    for _ in maker.attempts():
        try:
            stimulus = _KINDS[kind][0](maker, name)
        except TooFewSentences as error:
            why = str(error)
        else:
            return stimulus or why
    return why


def _conditions(size: Size) -> tuple[str, ...]:
    every = tuple(name for name in CONDITIONS if name != "clean")
    return _QUICK_CONDITIONS if size == "quick" else every


def _names(size: Size, suites: Sequence[str]) -> list[str]:
    """The ids to make; robustness alone needs the clean orders too."""
    names: list[str] = []
    for kind, (_, quick, full) in _KINDS.items():
        suite = kind.split("/")[0]
        if suite in suites:
            count = quick if size == "quick" else full
        elif kind == "task/order" and "robustness" in suites:
            count = _STRESSED[size]
        else:
            continue
        names += [f"{kind}/{number:03d}" for number in range(count)]
    return names


def _made(path: Path) -> dict[str, Stimulus]:
    """What an earlier run has noted; a line that it was killed in is left."""
    made: dict[str, Stimulus] = {}
    if not path.exists():
        return made
    whole, _, _ = path.read_text(encoding="utf-8").rpartition("\n")
    for line in whole.splitlines():
        stimulus = Stimulus.model_validate_json(line)
        made[stimulus.id] = stimulus
    put(path, "".join(s.model_dump_json() + "\n" for s in made.values()).encode())
    return made


def _agree(folder: Path, wanted: SetFacts) -> None:
    """Refuse to mix two sets in one folder."""
    if (folder / FACTS).exists():
        there = read_facts(folder).model_dump(exclude={"left_out"})
        differing = [k for k, v in wanted.model_dump(exclude={"left_out"}).items() if there[k] != v]
        if differing:
            raise CorpusError(
                f"{folder} holds stimuli of another {differing[0].replace('_', ' ')}; "
                "choose another folder"
            )
    elif folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise CorpusError(f"{folder} exists and is no set of stimuli; choose another folder")


def _digest(corpus: Path) -> str:
    try:
        return hashlib.sha256(Corpus.open(corpus).path.read_bytes()).hexdigest()
    except OSError as error:
        raise CorpusError(f"{corpus} cannot be read: {error.strerror}") from error
