"""Proves that a set of stimuli is apart from training, sentence by sentence and voice by voice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from antiphon.corpus.scenario import Scenario
from antiphon.errors import CorpusError
from antiphon.evaluation.script import Clip, Stimulus
from antiphon.evaluation.stimuli.apart import Trained, is_test_voice, of_test, trained
from antiphon.evaluation.stimuli.collection import StimulusSet
from antiphon.evaluation.stimuli.reader import SentenceReader

_TO_THE_AGENT = ("turn", "barge_in")


def check(stimuli: StimulusSet, scenario: Scenario, training: Sequence[Path] = ()) -> None:
    """Raise CorpusError, with the sentence or the voice, where a stimulus is not kept apart.

    Every voice is of the test group. What the caller says to the agent, up to any of its turns, is
    a dialogue of the test split, or holds a sentence that the scenario's callers cannot say; what
    is not said to the agent, they cannot say either. With training corpora: none has a voice of the
    set, none has a turn that the set has, but for such as many callers say ("cancel that").
    Recordings (absolute paths) are of no scenario and are passed over.
    """
    reader = SentenceReader(scenario)
    known = trained(training, reader)
    for stimulus in stimuli.stimuli:
        made = [clip for clip in _clips(stimulus) if not Path(clip.path).is_absolute()]
        for clip in made:
            _check_voice(stimulus, clip, known)
        if len(made) == len(list(_clips(stimulus))):
            _check_sentences(stimulus, reader)
            _check_corpora(stimulus, reader, known)


def _clips(stimulus: Stimulus) -> Iterator[Clip]:
    for step in stimulus.steps:
        yield step.clip
        yield from step.repairs


def _check_voice(stimulus: Stimulus, clip: Clip, known: Trained) -> None:
    if not clip.text:
        return
    if not is_test_voice(clip.voice):
        raise CorpusError(
            f'{stimulus.id}: "{clip.text}" is said by {clip.voice}, a voice of training'
        )
    if clip.voice in known.voices:
        raise CorpusError(
            f'{stimulus.id}: "{clip.text}" is said by {clip.voice}, which a training corpus has too'
        )


def _check_sentences(stimulus: Stimulus, reader: SentenceReader) -> None:
    said: list[str] = []
    foreign = False  # a sentence has come that no caller of the scenario could say
    for step in stimulus.steps:
        text = step.clip.text
        if not text:
            continue
        if step.kind not in _TO_THE_AGENT:
            if reader.intents(text):
                raise CorpusError(
                    f'{stimulus.id}: "{text}" is not said to the agent, yet the scenario\'s '
                    "callers can say it: training may hold it as a turn"
                )
            continue
        said.append(text)
        foreign = foreign or not reader.intents(text)
        if not foreign and not of_test(said):
            raise CorpusError(
                f'{stimulus.id}: "{" | ".join(said)}" is not of the test split: '
                "a training corpus of this scenario may hold it"
            )


def _check_corpora(stimulus: Stimulus, reader: SentenceReader, known: Trained) -> None:
    for step in stimulus.steps:
        text = step.clip.text
        if reader.bare(text) not in known.sentences:
            continue
        if any(reader.names_things(intent) for intent in reader.intents(text)):
            raise CorpusError(f'{stimulus.id}: a training corpus has the turn "{text}"')
