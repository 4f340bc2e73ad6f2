"""The state of the line: what lies between a caller's mouth and the system's ear.

Each condition is a streaming effect: 20 ms of the caller and of the agent in, the 20 ms that the
system hears out. `delay` is how much later than the caller spoke they are heard: a real line's
delay cannot be taken back, so it is stated, for metrics to name it beside a latency.

Noise is mixed by levels known beforehand, not by a running estimate: the line must be noisy before
the first word and in every pause, and must not pump. Made voices all have one loudness (`VOICE`);
for recordings the set of stimuli tells theirs. The ratio is the effective value of the speech
without its pauses over that of the noise.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache
from typing import Any, Literal, cast

import numpy as np
import soundfile as sf
from pydantic import BaseModel, ConfigDict

from antiphon.audio import SAMPLE_RATE, g711
from antiphon.audio.augment.packets import draw_losses
from antiphon.audio.augment.room import room_bank
from antiphon.errors import AudioError
from antiphon.evaluation.noises import clatter, murmur
from antiphon.evaluation.protocol import TICK, Effect
from antiphon.runtime.events import Samples

VOICE = 0.06  # effective value of the loud parts of every made voice (corpus.voices.speech)
_NARROW = 8_000  # Hz, a telephone's rate
_BLOCK = _NARROW // 50  # samples of 20 ms there
_LOOP = 20 * SAMPLE_RATE  # samples of background that are made and then repeated
_ROOMS, _ROOM_SEED = 6, 71  # training's bank has seed 0: these rooms are others
_MOST_PACKETS = 15_000  # five minutes
_FADE = 0.6  # of a repeated packet; after three of them the line is silent
_LOOK_AHEAD = 312 / 48_000  # s: of libopus, as its header says


class Condition(BaseModel):
    """One state of the line."""

    model_config = ConfigDict(frozen=True)

    name: str
    family: Literal["clean", "noise", "room", "codec", "loss", "level", "echo"]
    what: str
    """One phrase for tables."""
    delay: float = 0.0
    """Seconds by which the system hears the caller later."""


def effect(name: str, seed: int, *, voice: float = VOICE) -> Effect:
    """The condition `name` for one trial; the same seed gives the same disturbance.

    voice: effective value of the caller's speech without pauses, which noise is measured by.
    Raises AudioError for a name that is not in CONDITIONS, and where a codec's library is missing.
    """
    if name not in _MAKERS:
        raise AudioError(f'there is no condition "{name}"; there is {", ".join(_MAKERS)}')
    return _MAKERS[name](np.random.default_rng((seed, zlib.crc32(name.encode()))), voice)


# -- the effects -----------------------------------------------------------------------------------


class Clean:
    """Nothing between the two."""

    def __call__(self, caller: Samples, agent: Samples, /) -> Samples:
        """[TICK] as they came."""
        return caller


class Background:
    """A café behind the caller: people and crockery, half of the power each."""

    def __init__(self, rng: np.random.Generator, snr: float, voice: float) -> None:
        level = np.float32(voice * 10 ** (-snr / 20))
        self._noise: Samples = (_cafe(int(rng.integers(4))) * level).astype(np.float32)
        self._at = int(rng.integers(len(self._noise) // TICK)) * TICK

    def __call__(self, caller: Samples, agent: Samples, /) -> Samples:
        """[TICK] and the noise that stands beside them."""
        noise = self._noise[self._at : self._at + TICK]
        self._at = (self._at + TICK) % len(self._noise)
        return np.clip(caller + noise, -1.0, 1.0)


class Room:
    """A talker away from the microphone; the direct sound is not delayed."""

    def __init__(self, rng: np.random.Generator) -> None:
        rooms = room_bank(_ROOMS, _ROOM_SEED)
        self._through = Convolver(rooms[int(rng.integers(len(rooms)))])

    def __call__(self, caller: Samples, agent: Samples, /) -> Samples:
        """[TICK] with the echoes of those before."""
        return np.clip(self._through(caller), -1.0, 1.0)


class Telephone:
    """Narrow band (to 3.6 kHz, 8 kHz) with a codec between: 20 ms in, 20 ms out."""

    def __init__(self, codec: Callable[[Samples], Samples]) -> None:
        self._codec = codec
        self._down, self._up = Convolver(_lowpass()), Convolver(_lowpass() * np.float32(2.0))

    def __call__(self, caller: Samples, agent: Samples, /) -> Samples:
        """[TICK] as they sound at the other end."""
        wide = np.zeros(TICK, np.float32)
        wide[::2] = self._codec(self._down(caller)[::2])
        return np.clip(self._up(wide), -1.0, 1.0)


class Losses:
    """Bursts of lost packets; a lost one repeats the last that came, fading to nothing."""

    def __init__(self, rng: np.random.Generator, rate: float, burst: float) -> None:
        self.lost = draw_losses(_MOST_PACKETS, rate, burst, rng)
        self._packet = 0
        self._last: Samples = np.zeros(TICK, np.float32)

    def __call__(self, caller: Samples, agent: Samples, /) -> Samples:
        """[TICK], or what stands in for them."""
        lost = bool(self.lost[self._packet % len(self.lost)])
        self._packet += 1
        if not lost:
            self._last = caller
            return caller
        self._last = self._last * np.float32(_FADE)
        if np.abs(self._last).max(initial=0.0) < 1e-4:
            self._last = np.zeros(TICK, np.float32)
        return self._last


class Gain:
    """Too quiet, or so loud that it clips."""

    def __init__(self, db: float) -> None:
        self._gain = np.float32(10 ** (db / 20))

    def __call__(self, caller: Samples, agent: Samples, /) -> Samples:
        """[TICK], clipped at full scale."""
        return np.clip(caller * self._gain, -1.0, 1.0)


class Echo:
    """The agent's own voice, out of the caller's loudspeaker and through the room back."""

    def __init__(self, rng: np.random.Generator, db: float, seconds: float) -> None:
        rooms = room_bank(_ROOMS, _ROOM_SEED)
        self._through = Convolver(
            rooms[int(rng.integers(len(rooms)))] * np.float32(10 ** (db / 20))
        )
        self._late: Samples = np.zeros(round(seconds * SAMPLE_RATE), np.float32)

    def __call__(self, caller: Samples, agent: Samples, /) -> Samples:
        """[TICK] with what of the agent comes back."""
        line = np.concatenate([self._late, self._through(agent)])
        self._late = line[TICK:]
        return np.clip(caller + line[:TICK], -1.0, 1.0)


# -- what they are made of -------------------------------------------------------------------------


class Convolver:
    """A filter [L] over a stream of ticks: overlap and add, no delay but the filter's own."""

    def __init__(self, response: Samples) -> None:
        self._size = 1 << (TICK + len(response) - 2).bit_length()
        self._spectrum = np.fft.rfft(response, self._size)
        self._tail = np.zeros(self._size, np.float64)

    def __call__(self, samples: Samples) -> Samples:
        """float32 [TICK] to float32 [TICK]."""
        self._tail += np.fft.irfft(np.fft.rfft(samples, self._size) * self._spectrum, self._size)
        out = self._tail[:TICK].astype(np.float32)
        self._tail[:-TICK] = self._tail[TICK:]
        self._tail[-TICK:] = 0.0
        return out


def companded(law: Literal["mu", "a"]) -> Callable[[Samples], Samples]:
    """G.711 at 8 kHz."""
    if law == "mu":
        return lambda x: g711.to_float(g711.decode_mulaw(g711.encode_mulaw(x)))
    return lambda x: g711.to_float(g711.decode_alaw(g711.encode_alaw(x)))


class Gsm:
    """GSM 06.10 full rate, 13 kbit/s: libsndfile encodes a frame, FFmpeg (PyAV) decodes it."""

    def __init__(self) -> None:
        av = _av()
        self._packet = av.Packet
        self._bytes = io.BytesIO()
        self._encoder = sf.SoundFile(
            self._bytes, "w", format="RAW", subtype="GSM610", samplerate=_NARROW, channels=1
        )
        self._decoder = av.CodecContext.create("gsm", "r")
        self._decoder.sample_rate, self._decoder.layout = _NARROW, "mono"

    def __call__(self, samples: Samples) -> Samples:
        """float32 [160] at 8 kHz to the same."""
        self._encoder.write(samples)
        self._encoder.flush()
        data = self._bytes.getvalue()
        self._bytes.seek(0)
        self._bytes.truncate()
        (frame,) = self._decoder.decode(self._packet(data))
        return g711.to_float(frame.to_ndarray()[0])


class Opus:
    """Opus for voice at 8 kHz, 12 kbit/s, 20 ms frames (libopus by PyAV)."""

    def __init__(self) -> None:
        av = _av()
        self._frame, self._time = av.AudioFrame, 0
        encoder = av.CodecContext.create("libopus", "w")
        encoder.sample_rate, encoder.layout, encoder.format = _NARROW, "mono", "s16"
        encoder.bit_rate = 12_000
        encoder.time_base = Fraction(1, _NARROW)
        encoder.options = {"application": "voip", "frame_duration": "20", "vbr": "off"}
        encoder.open()
        decoder = av.CodecContext.create("libopus", "r")
        decoder.extradata = encoder.extradata
        decoder.layout = "mono"
        self._encoder, self._decoder = encoder, decoder
        self._ready: Samples = np.zeros(0, np.float32)

    def __call__(self, samples: Samples) -> Samples:
        """float32 [160] at 8 kHz to the same."""
        pcm = np.clip(np.rint(samples * 32767.0), -32768, 32767).astype(np.int16)
        frame = self._frame.from_ndarray(pcm[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts = _NARROW, self._time
        frame.time_base = Fraction(1, _NARROW)
        self._time += _BLOCK
        heard = [
            g711.to_float(out.to_ndarray().reshape(-1))
            for packet in self._encoder.encode(frame)
            for out in self._decoder.decode(packet)
        ]
        # FFmpeg gives Opus at 48 kHz; above 4 kHz there is nothing in it, so a sixth is enough.
        self._ready = np.concatenate([self._ready, *(part[::6] for part in heard)])
        # The first frame comes short by the codec's look-ahead: silence stands for it once.
        if len(self._ready) < _BLOCK:
            short = np.zeros(_BLOCK - len(self._ready), np.float32)
            self._ready = np.concatenate([short, self._ready])
        out, self._ready = self._ready[:_BLOCK], self._ready[_BLOCK:]
        return out


def _av() -> Any:
    try:
        import av
    except ImportError as error:
        raise AudioError(
            "this condition needs PyAV for its codec; run: pip install 'antiphon[eval]'"
        ) from error
    return cast(Any, av)


@lru_cache(maxsize=1)
def _lowpass() -> Samples:
    """A telephone's band: 65 taps at 16 kHz, -6 dB at 3.6 kHz; it delays by 32 samples."""
    place = np.arange(-32, 33)
    taps = np.sinc(2 * 3_600 / SAMPLE_RATE * place) * np.hamming(65)
    return (taps / taps.sum()).astype(np.float32)


@lru_cache(maxsize=4)
def _cafe(number: int) -> Samples:
    """One of a few cafés, RMS 1, [_LOOP]: making one takes a while, so trials share them."""
    rng = np.random.default_rng((number, 433))
    people, crockery = murmur(_LOOP, rng), clatter(_LOOP, rng)
    both = sum(
        (part / np.sqrt(np.mean(np.square(part))) for part in (people, crockery)),
        np.zeros(_LOOP, np.float32),
    )
    both /= np.sqrt(np.mean(np.square(both)))
    return both.astype(np.float32)


# -- the grid --------------------------------------------------------------------------------------

_Maker = Callable[[np.random.Generator, float], Effect]
_BAND = 64 / SAMPLE_RATE  # s: the two filters of a telephone


def _snr(db: float) -> tuple[Condition, _Maker]:
    about = Condition(
        name=f"snr{db:g}", family="noise", what=f"a café's noise, {db:g} dB below the voice"
    )
    return about, lambda rng, voice: Background(rng, db, voice)


def _codec(
    name: str, what: str, make: Callable[[], Callable[[Samples], Samples]], delay: float = 0.0
) -> tuple[Condition, _Maker]:
    about = Condition(name=name, family="codec", what=what, delay=round(_BAND + delay, 4))
    return about, lambda rng, voice: Telephone(make())


def _loss(percent: float, burst: float) -> tuple[Condition, _Maker]:
    what = f"{percent:g} % of packets lost, {burst:g} in a row on average, repeated in fading"
    about = Condition(name=f"loss{percent:g}", family="loss", what=what)
    return about, lambda rng, voice: Losses(rng, percent / 100, burst)


def _gain(db: float) -> tuple[Condition, _Maker]:
    what = f"{db:+g} dB" + (", clipped at full scale" if db > 0 else "")
    about = Condition(name=f"gain{db:+g}", family="level", what=what)
    return about, lambda rng, voice: Gain(db)


def _echo(db: float, seconds: float, name: str = "") -> tuple[Condition, _Maker]:
    what = f"the agent comes back at {db:g} dB after {round(seconds * 1e3)} ms"
    about = Condition(name=name or f"echo{db:g}", family="echo", what=what)
    return about, lambda rng, voice: Echo(rng, db, seconds)


_CLEAN = Condition(name="clean", family="clean", what="nothing")
_ROOM = Condition(name="room", family="room", what="a talker away from the microphone")
_GRID: tuple[tuple[Condition, _Maker], ...] = (
    (_CLEAN, lambda rng, voice: Clean()),
    *(_snr(db) for db in (20, 10, 5, 0)),
    (_ROOM, lambda rng, voice: Room(rng)),
    _codec("mulaw", "telephone, G.711 mu-law", lambda: companded("mu")),
    _codec("alaw", "telephone, G.711 A-law", lambda: companded("a")),
    _codec("gsm", "mobile telephone, GSM 06.10 at 13 kbit/s", Gsm),
    _codec("opus8k", "Opus at 8 kHz and 12 kbit/s", Opus, _LOOK_AHEAD),
    _loss(1, 1.5),
    _loss(5, 2.5),
    _loss(20, 4.0),
    _gain(-24),
    _gain(15),
    *(_echo(db, 0.12) for db in (-30, -18, -6)),
    _echo(-18, 0.02, "echo-18-near"),
    _echo(-18, 0.35, "echo-18-late"),
)
_MAKERS: dict[str, _Maker] = {about.name: make for about, make in _GRID}

CONDITIONS: dict[str, Condition] = {about.name: about for about, _ in _GRID}
"""All conditions by name, `clean` first."""
