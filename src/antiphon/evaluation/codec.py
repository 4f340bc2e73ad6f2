"""A codec on speech it was not trained on: the agent's voice, and voices it never saw.

Thin over `antiphon.codec.metrics`, which does the measuring; also the door through which
evaluation reaches a codec, since a codec needs torch and evaluation does not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

from pydantic import BaseModel, ConfigDict

from antiphon.audio import SAMPLE_RATE
from antiphon.bundle import find
from antiphon.corpus.conversation import Speaker
from antiphon.corpus.disk import Corpus
from antiphon.errors import AntiphonError, CorpusError
from antiphon.runtime.events import Samples

_BEFORE, _AFTER = 0.1, 0.15  # s kept around a turn
_LEAST = 0.5  # s: shorter turns cannot be measured


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class Figures(_Frozen):
    """Means over one side's utterances; DNSMOS is None where it was not asked for."""

    side: Speaker
    voices: list[str]
    utterances: int
    pesq_wb: float | None = None
    stoi: float
    mel: float
    """Mean absolute difference of log-mel spectra, nepers."""
    dnsmos_ovrl_original: float | None = None
    dnsmos_ovrl_decoded: float | None = None
    dnsmos_p808_original: float | None = None
    dnsmos_p808_decoded: float | None = None
    codes_used: list[int]
    """By codebook."""
    code_bits: list[float]
    """Entropy by codebook."""
    bits_per_second: float
    step_ms: float
    """Median of one 80 ms frame of the streaming decoder in torch, one session."""


class Report(_Frozen):
    """The figures of one codec on one corpus."""

    codec: str
    corpus: str
    figures: list[Figures]


def open_codec(path: Path) -> Any:
    """The codec in its own folder or in a bundle's (by path or name).

    Raises BundleError when there is none, and AntiphonError where torch is missing.
    """
    try:
        from antiphon.codec.model import Codec
        from antiphon.training.start import codec_of
    except ImportError as error:
        raise _missing(error) from error
    if (path / "codec.safetensors").is_file():
        return Codec.load(path)
    return codec_of(find(path))


def round_trip(codec: Any, samples: Samples) -> Samples:
    """Samples [N] through the codec and back, aligned with what went in."""
    from antiphon.codec import metrics

    return metrics.round_trip(codec, samples)[0]


def naturalness(samples: Samples) -> dict[str, float]:
    """DNSMOS of [N] samples: {"ovrl": ..., "p808": ...}. AntiphonError where it is missing."""
    try:
        from antiphon.codec import metrics

        return metrics.naturalness(samples)
    except ImportError as error:
        raise _missing(error) from error


def utterances(corpus: Corpus, side: Speaker, most: int) -> tuple[list[Samples], list[str]]:
    """At most `most` turns of one side, one a conversation, and the voices they are in.

    Recordings of people are left out: they are no voice that a codec is asked to speak in.
    Raises CorpusError when there are none.
    """
    found: list[Samples] = []
    voices: dict[str, None] = {}
    channel = 0 if side == "agent" else 1
    for conversation in corpus:
        if len(found) >= most:
            break
        for turn in conversation.turns(side):
            voice = str(turn.data.get("voice", "unnamed"))
            if turn.end - turn.start < _LEAST or voice == "recorded":
                continue
            start = max(0, round((turn.start - _BEFORE) * SAMPLE_RATE))
            stop = round((turn.end + _AFTER) * SAMPLE_RATE)
            found.append(conversation.audio[channel, start:stop].copy())
            voices.setdefault(voice)
            break
    if not found:
        raise CorpusError(f"{corpus.path}: no turn of the {side} of half a second or more")
    return found, sorted(voices)


def measure(
    codec: Any,
    sounds: Sequence[Samples],
    *,
    side: Speaker,
    voices: Sequence[str],
    natural: bool = True,
    progress: Callable[[], None] | None = None,
) -> Figures:
    """All figures of one side's utterances. AntiphonError where a measure is not installed."""
    try:
        from antiphon.codec import metrics

        made = metrics.measure(codec, sounds, natural=natural, progress=progress)
    except ImportError as error:
        raise _missing(error) from error
    fields = cast("dict[str, Any]", made)
    known = {name: value for name, value in fields.items() if name in Figures.model_fields}
    return Figures(side=side, voices=list(voices), utterances=len(sounds), **known)


def _missing(error: ImportError) -> AntiphonError:
    return AntiphonError(
        f"this measure needs {error.name}, which is not installed; "
        "pip install 'antiphon[train,eval]'"
    )
