"""Speech recognition by pocketsphinx over the scenario's network of words.

In: int16 samples of one turn as they come. Out: the words, their times, and how far they are
from what was heard. That distance is the grammar's score against that of a loop over all phones,
which follows any speech: where the loop fits far better, the words were other words.
"""

from __future__ import annotations

import importlib
import math
import re
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from antiphon.cascade.network import Network
from antiphon.cascade.pronounce import PHONES
from antiphon.corpus.voices.speech import Timed
from antiphon.runtime.events import Samples

_FRAME = 0.01  # s
_DITHER = 2e-4  # noise put under the sound, -74 dBFS: the model has never heard digital silence
_LOOP_GOES_ON = 0.9
_SPHINX: Any = importlib.import_module("pocketsphinx")  # it has no types
_NO_WORD = re.compile(r"<.*>|\(NULL\)|\[.*\]")


@dataclass(frozen=True)
class Heard:
    """A turn's words with times in seconds from its first sample, and how well they fit.

    misfit: what the phone loop scores above the grammar, a frame, in the decoder's own log units
    (base 1.0001), over the words' frames; worst: the same over the 0.3 s where it is greatest.
    """

    words: tuple[Timed, ...]
    misfit: float
    worst: float

    @property
    def text(self) -> list[str]:
        """The words alone."""
        return [word for word, _, _ in self.words]


class Recogniser:
    """One turn at a time: `open`, `push` as it is spoken, `close`."""

    def __init__(self, network: Network, pronunciations: Mapping[str, Iterable[str]]) -> None:
        """pronunciations: word -> ARPAbet phones, for every word of the network."""
        arcs = [
            (a.source, a.target, a.probability) + (() if a.word is None else (a.word,))
            for a in network.arcs
        ]
        self._words = _decoder(
            {word: list(pronunciations[word]) for word in sorted(network.words)},
            (network.start, network.final, arcs),
        )
        loop = [(0, 0, _LOOP_GOES_ON / len(PHONES), phone) for phone in PHONES]
        self._phones = _decoder(
            {phone: [phone] for phone in PHONES}, (0, 1, [*loop, (0, 1, 1 - _LOOP_GOES_ON)])
        )
        self._means = (self._words.get_cmn(), self._phones.get_cmn())
        self._noise = np.random.default_rng(0)
        self._open = False

    def reset(self) -> None:
        """Forget the last caller's channel."""
        if self._open:
            self.close()
        self._noise = np.random.default_rng(0)  # the same call sounds the same every time
        self._words.set_cmn(self._means[0])
        self._phones.set_cmn(self._means[1])

    def open(self) -> None:
        """A turn begins."""
        self._words.start_utt()
        self._phones.start_utt()
        self._open = True

    def push(self, samples: Samples) -> None:
        """The turn's next samples, float32 [N] at 16 kHz."""
        noisy = samples + self._noise.normal(0.0, _DITHER, len(samples))
        pcm = (noisy.clip(-1.0, 1.0) * 32767).astype("<i2").tobytes()
        self._words.process_raw(pcm)
        self._phones.process_raw(pcm)

    def partial(self) -> list[str]:
        """The words so far, which the next ones may still change."""
        best = self._words.hyp()
        return _spellings(best.hypstr.split()) if best else []

    def close(self) -> Heard | None:
        """The turn is over; None where no sentence of the grammar fits at all."""
        self._words.end_utt()
        self._phones.end_utt()
        self._open = False
        if not self._words.hyp():
            return None
        spans = [
            (s.word, s.start_frame, s.end_frame + 1, _log(s.ascore)) for s in _segments(self._words)
        ]
        spoken = [span for span in spans if not _NO_WORD.fullmatch(span[0])]
        if not spoken:
            return None
        loop = [(s.start_frame, s.end_frame + 1, _log(s.ascore)) for s in _segments(self._phones)]
        ours = _per_frame([(a, b, score) for _, a, b, score in spans])
        theirs = _per_frame(loop)
        first, last = spoken[0][1], min(spoken[-1][2], len(ours), len(theirs))
        misfits = [theirs[i] - ours[i] for i in range(first, last)] or [0.0]
        words = tuple(
            (name, a * _FRAME, b * _FRAME)
            for (_, a, b, _), name in zip(spoken, _spellings(w for w, *_ in spoken), strict=True)
        )
        return Heard(words, sum(misfits) / len(misfits), _worst(misfits, 30))


def model_dictionary() -> Path:
    """The dictionary that comes with the acoustic model."""
    return Path(str(_SPHINX.get_model_path("en-us"))) / "cmudict-en-us.dict"


def _decoder(dictionary: Mapping[str, list[str]], network: tuple[int, int, list[Any]]) -> Any:
    """A decoder of this network with just these words."""
    with tempfile.TemporaryDirectory() as folder:
        words, silence = Path(folder) / "words", Path(folder) / "silence"
        words.write_text("".join(_entries(dictionary)), encoding="utf-8")
        # Noise words between all others cost time and took the place of quiet words.
        silence.write_text("<s> SIL\n</s> SIL\n<sil> SIL\n", encoding="utf-8")
        decoder: Any = _SPHINX.Decoder(
            dict=str(words),
            fdict=str(silence),
            lm=None,
            bestpath=False,  # a lattice of such a network takes minutes
            loglevel="FATAL",
        )
    start, final, arcs = network
    decoder.add_fsg("network", decoder.create_fsg("network", start, final, arcs))
    decoder.activate_search("network")
    return decoder


def _entries(dictionary: Mapping[str, list[str]]) -> Iterable[str]:
    for word, ways in dictionary.items():
        for number, phones in enumerate(ways, start=1):
            yield f"{word}{'' if number == 1 else f'({number})'} {phones}\n"


def _segments(decoder: Any) -> list[Any]:
    return list(decoder.seg() or ())


def _spellings(words: Iterable[str]) -> list[str]:
    """Without the numbers of pronunciations and what is no word."""
    return [word.partition("(")[0] for word in words if not _NO_WORD.fullmatch(word)]


def _log(probability: float) -> float:
    return math.log(max(probability, 1e-300)) / math.log(1.0001)


def _per_frame(spans: Iterable[tuple[int, int, float]]) -> list[float]:
    """Each frame's share of its segment's score."""
    rows: list[float] = []
    for start, end, score in spans:
        rows += [0.0] * (start - len(rows))
        rows += [score / max(end - start, 1)] * (end - len(rows))
    return rows


def _worst(values: list[float], width: int) -> float:
    """The greatest mean of `width` neighbours (of all, where there are fewer)."""
    width = min(width, len(values))
    total = worst = sum(values[:width])
    for index in range(width, len(values)):
        total += values[index] - values[index - width]
        worst = max(worst, total)
    return worst / width
