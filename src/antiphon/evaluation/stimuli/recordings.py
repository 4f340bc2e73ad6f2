"""Stimuli of real recordings: orders by a manifest, and other people's speech.

What a recording is known by is its sound alone, so the end of speech is found by energy, as
everywhere that recordings are judged (`runtime.latency.speech_end`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from antiphon.audio import SAMPLE_RATE
from antiphon.audio.io import read
from antiphon.corpus import grammar
from antiphon.corpus.calls import Call
from antiphon.corpus.scenario import Scenario
from antiphon.errors import CorpusError
from antiphon.evaluation.commands import other_clips, read_manifest
from antiphon.evaluation.script import Clip, Step, Stimulus
from antiphon.evaluation.stimuli.task import goal_of
from antiphon.evaluation.stimuli.wants import Wants
from antiphon.runtime.events import Samples
from antiphon.runtime.latency import speech_end

_BEGINS = 0.3  # s from the trial's start to the recording's first speech, at least


def from_manifest(scenario: Scenario, manifest: Path, most: int | None = None) -> list[Stimulus]:
    """Task stimuli, kind "order", of a manifest's recordings and their `slots`.

    Lines without slots order nothing and are risk/out_of_domain. Raises CorpusError where a line's
    slots are none of the scenario's, AudioError where a recording cannot be read.
    """
    stimuli: list[Stimulus] = []
    for clip in read_manifest(manifest)[:most]:
        if clip.slots is None:
            stimuli.append(_other(scenario, clip.path))
            continue
        call = _call(scenario, slots_of(scenario, clip.slots, clip.path))
        step = Step(clip=_clip(clip.path), after=_BEGINS, expects=call)
        stimuli.append(
            Stimulus(
                id=f"task/recording/{clip.path.stem}",
                suite="task",
                kind="order",
                steps=(step,),
                goal=goal_of(scenario, [call]),
                group=clip.path.stem,
                facts={"recorded": True, "slots": clip.slots},
            )
        )
    return stimuli


def from_folder(scenario: Scenario, folder: Path, most: int | None = None) -> list[Stimulus]:
    """Risk stimuli, kind "out_of_domain", of a folder of speech that asks for nothing.

    Raises CorpusError where it has no recordings, AudioError where one cannot be read.
    """
    return [_other(scenario, clip.path) for clip in other_clips(folder)[:most]]


def slots_of(scenario: Scenario, named: Mapping[str, str], where: Path) -> dict[str, str]:
    """A manifest's slots under the scenario's own names and values: `manifest_slots` turned round.

    Raises CorpusError where that cannot be.
    """
    values = {name: [v.value for v in slot.values] for name, slot in scenario.slots.items()}
    item: dict[str, str] = {}
    for name, words in named.items():
        template = scenario.manifest.get(name)
        pattern = "" if template is None else grammar.to_regex(template, values, scenario.rules)
        found = re.fullmatch(pattern, grammar.plain(words) + " ") if pattern else None
        if found is None:
            raise CorpusError(
                f'{where}: the slot {name} "{words}" is none of the scenario {scenario.name}'
            )
        item |= {key.partition("__")[0]: v for key, v in found.groupdict().items() if v}
    return {name: item[name] for name in scenario.slots if name in item}


def _call(scenario: Scenario, item: dict[str, str]) -> Call:
    wants = Wants(scenario)
    for intent in wants.first(wants.add):
        call = scenario.call(intent, item, [item])
        if call is not None:
            return call
    raise CorpusError(f"{scenario.name}: no intent of this scenario puts something on order")


def _other(scenario: Scenario, path: Path) -> Stimulus:
    return Stimulus(
        id=f"risk/recording/{path.stem}",
        suite="risk",
        kind="out_of_domain",
        steps=(Step(clip=_clip(path), after=_BEGINS),),
        goal=goal_of(scenario, ()),  # nothing may be done
        group=path.stem,
        facts={"recorded": True, "right": "decline"},
    )


def _clip(path: Path) -> Clip:
    samples = read(path)
    start, end = bounds(samples)
    return Clip(path=str(path.resolve()), voice="recorded", start=start, end=end)


def bounds(samples: Samples) -> tuple[float, float]:
    """Where the speech in a recording begins and ends, in seconds; all of it where none is found.

    The rule that finds the end knows no direction, so it finds the start in the sound reversed.
    """
    length = len(samples) / SAMPLE_RATE
    end, back = speech_end(samples), speech_end(samples[::-1])
    if end is None or back is None:
        return 0.0, round(length, 3)
    return round(max(0.0, length - back), 3), round(end, 3)
