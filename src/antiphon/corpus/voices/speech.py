"""What every voice gives, and how the engines' output is brought to it.

In: an engine's samples and the times of its tokens. Out: speech at 16 kHz, cut to its bounds,
at one loudness, with a time for every word of the text. Knows nothing of dialogues.
"""

from __future__ import annotations

import random
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from antiphon.audio import SAMPLE_RATE
from antiphon.audio.resample import resample
from antiphon.corpus.conversation import Speaker
from antiphon.corpus.voices.manner import AS_MADE, Manner
from antiphon.errors import VoiceError

Floats = npt.NDArray[np.float32]
Timed = tuple[str, float, float]  # word, start, end in seconds
Sound = tuple[npt.NDArray[Any], int, list[Timed]]  # samples [N], their rate in Hz, tokens
Spellings = dict[str, tuple[float, tuple[str, ...]]]  # word -> probability, ways to spell it

_RMS = 0.06  # of the loud parts: -24.4 dBFS
_PEAK = 0.9
_BEFORE, _AFTER = 0.03, 0.09  # s kept around the words: closures before, decay after
_FADE = 80  # samples
_SEARCH = 0.06  # s around a word boundary in which a cut looks for quiet
_QUIET = 0.01  # s over which quiet is measured
_UNSAYABLE = re.compile(r"[^a-z' ,.?!]+")


@dataclass(frozen=True)
class Speech:
    """One utterance.

    samples: float32 [N] at 16 kHz. words: (text, start, end), seconds from the first sample.
    start, end: where the speech begins and ends in it.
    """

    samples: Floats = field(repr=False)
    words: tuple[Timed, ...]
    start: float
    end: float


class Voice(Protocol):
    """Someone who speaks; `speaker` tells which side of a conversation the voice is for."""

    @property
    def name(self) -> str: ...
    @property
    def speaker(self) -> Speaker: ...
    def speak(self, text: str, rng: random.Random, tone: str = "neutral") -> Speech: ...


# What people's mouths make of words that dictionaries, and so all engines, spell out: /t, d/ lost
# before another consonant (Guy 1980), weak forms of function words, and the common other ways to
# say what a café sells. word -> (probability, ways to spell it).
CASUAL: Spellings = {
    "iced": (0.5, ("ice",)),
    "almond": (0.4, ("all mund", "al mund", "ahmund")),
    "espresso": (0.2, ("expresso",)),
    "mocha": (0.15, ("mocka",)),
    "sweetener": (0.15, ("sweet ner",)),
    "cappuccino": (0.5, ("cap a cheeno", "cappa cheeno")),
    "and": (0.25, ("an",)),
    "of": (0.2, ("uh",)),
    "to": (0.1, ("tuh",)),
    "for": (0.15, ("fur",)),
    "twenty": (0.3, ("twenny",)),
    "little": (0.15, ("liddle",)),
    "milk": (0.1, ("melk",)),
    "want": (0.15, ("wan",)),
}


def sayable(text: str) -> str:
    """The text as engines take it: lower case, no accents, only , . ? ! as punctuation.

    Raises VoiceError for text without a word, and for digits, which each engine reads its own way.
    """
    plain = "".join(
        c for c in unicodedata.normalize("NFKD", text.lower().replace("’", "'")) if c.isascii()
    )
    if re.search(r"\d", plain):
        raise VoiceError(f'"{text}": spell numbers out as words before they are spoken')
    # punctuation belongs to the word before it: a token of its own would have no sound
    kept = re.sub(r"\s+([,.?!])", r"\1", _UNSAYABLE.sub(" ", plain)).strip(" ,.?!'")
    if not kept:
        raise VoiceError(f'"{text}": there is no word to speak in this text')
    tail = plain.rstrip()[-1:]
    return " ".join(kept.split()) + (tail if tail in ".?!" else "")


def bare(token: str) -> str:
    """A token without its punctuation: the word that goes into the alignment."""
    return token.strip(",.?!")


def respelt(text: str, spellings: Spellings, rng: random.Random) -> list[list[str]]:
    """For every word of `text` the tokens that make an engine say it."""
    out: list[list[str]] = []
    for token in text.split():
        chance, ways = spellings.get(bare(token), (0.0, ()))
        if ways and rng.random() < chance:
            out.append((rng.choice(ways) + token[len(bare(token)) :]).split())
        else:
            out.append([token])
    return out


def align(
    text: str, spelt: Sequence[Sequence[str]], tokens: Sequence[Timed], voice: str
) -> list[Timed]:
    """Give every word of `text` the span of the engine's tokens that its spelling became.

    Raises VoiceError when the engine read another number of tokens than it was given.
    """
    given = sum(len(ways) for ways in spelt)
    if given != len(tokens):
        raise VoiceError(
            f'{voice} read {len(tokens)} words where "{text}" has {given}; reword the text'
        )
    words: list[Timed] = []
    at = 0
    for token, parts in zip(text.split(), spelt, strict=True):
        part = tokens[at : at + len(parts)]
        words.append((bare(token), part[0][1], part[-1][2]))
        at += len(parts)
    return words


def finish(
    samples: npt.ArrayLike, rate: int, words: Sequence[Timed], manner: Manner = AS_MADE
) -> Speech:
    """An engine's output at `rate` Hz as Speech: tract, tilt, 16 kHz, loudness, cut, faded.

    The words' times are in the engine's own seconds; with `manner.tract` the sound gets shorter
    by it. The engine has already done what the manner says of tempo and pitch.
    """
    tract = manner.tract
    x = resample(np.asarray(samples, np.float32), round(rate * tract), SAMPLE_RATE)
    scale = rate / round(rate * tract)
    times = [
        (text, start * scale, min(end * scale, len(x) / SAMPLE_RATE)) for text, start, end in words
    ]
    x = levelled(tilted(x, manner.tilt)) * np.float32(10 ** (manner.loud / 20))
    first = max(0, round((times[0][1] - _BEFORE) * SAMPLE_RATE))
    last = min(len(x), round((times[-1][2] + _AFTER) * SAMPLE_RATE))
    shift = first / SAMPLE_RATE
    moved = tuple((text, start - shift, end - shift) for text, start, end in times)
    return Speech(faded(x[first:last]), moved, moved[0][1], moved[-1][2])


def tilted(x: Floats, decibels: float) -> Floats:
    """The samples with `decibels` an octave more (or less) above 500 Hz, float32 [N]."""
    if decibels == 0.0 or not len(x):
        return x
    octaves = np.log2(np.maximum(np.fft.rfftfreq(len(x), 1 / SAMPLE_RATE), 500.0) / 500.0)
    gain = 10.0 ** (decibels * octaves / 20)
    return np.fft.irfft(np.fft.rfft(x) * gain, len(x)).astype(np.float32)


def levelled(x: Floats) -> Floats:
    """The samples at the corpus's one loudness: RMS of the parts within 25 dB of the loudest."""
    frames = x[: len(x) // 160 * 160].reshape(-1, 160)
    power = np.square(frames).mean(axis=1)
    loud = power[power > power.max(initial=0.0) * 10**-2.5]
    if not len(loud) or loud.mean() < 1e-10:
        raise VoiceError("a voice gave silence where speech was asked for")
    gain = _RMS / float(np.sqrt(loud.mean()))
    return x * np.float32(min(gain, _PEAK / float(np.abs(x).max())))


def faded(x: Floats, length: int = _FADE) -> Floats:
    """The samples with both ends brought to zero, so that no cut clicks."""
    x = x.copy()
    ramp = np.linspace(0, 1, min(length, len(x) // 2), dtype=np.float32)
    x[: len(ramp)] *= ramp
    x[len(x) - len(ramp) :] *= ramp[::-1]
    return x


def with_pauses(
    speech: Speech, pauses: Sequence[tuple[int, float]]
) -> tuple[Speech, list[tuple[float, float]]]:
    """The speech with silence put in after some words: (index of the word, seconds) each.

    The cut is made where the sound is quietest near the boundary. Returns the silences' (start,
    end) in the new speech too. Pauses after a word that is not there or the last are left out.
    """
    silences: list[tuple[float, float]] = []
    for index, seconds in sorted(pauses):
        if not 0 <= index < len(speech.words) - 1:
            continue
        cut = _quietest(speech, index)
        gap = np.zeros(round(seconds * SAMPLE_RATE), np.float32)
        parts = (faded(speech.samples[:cut]), gap, faded(speech.samples[cut:]))
        at, shift = cut / SAMPLE_RATE, len(gap) / SAMPLE_RATE
        before = [(text, a, min(b, at)) for text, a, b in speech.words[: index + 1]]
        after = [(text, max(a, at) + shift, b + shift) for text, a, b in speech.words[index + 1 :]]
        speech = Speech(np.concatenate(parts), (*before, *after), speech.start, speech.end + shift)
        silences.append((before[-1][2], after[0][1]))
    return speech, silences


def _quietest(speech: Speech, index: int) -> int:
    """The sample at which to cut between word `index` and the next."""
    _, start, end = speech.words[index]
    _, following, last = speech.words[index + 1]
    low = max(end - _SEARCH, (start + end) / 2)  # never into the heart of a short word
    high = min(following + _SEARCH, (following + last) / 2)
    width = round(_QUIET * SAMPLE_RATE)
    first = round(low * SAMPLE_RATE)
    power = np.square(speech.samples[first : round(high * SAMPLE_RATE)].astype(np.float64))
    if len(power) <= width:
        return round(end * SAMPLE_RATE)
    sums = np.convolve(power, np.ones(width), mode="valid")
    return first + int(sums.argmin()) + width // 2
