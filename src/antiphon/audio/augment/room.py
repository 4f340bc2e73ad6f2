"""A bank of rooms: impulse responses that start with the direct path.

Half are simulated by the image-source method (pyroomacoustics, an optional package), half are
noise that decays faster in the treble; without the package all are of the second kind.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from antiphon.audio import SAMPLE_RATE
from antiphon.audio.augment.noise import coloured, log_uniform

Floats = npt.NDArray[np.float32]

LENGTH = 6_400  # samples of a response: 0.4 s, beyond which little is left
_MAX_ORDER = 6  # reflections traced; later ones are dense enough to be decaying noise


@lru_cache(maxsize=4)
def room_bank(count: int = 60, seed: int = 0) -> tuple[Floats, ...]:
    """`count` room responses, each float32 [<= 6400] of unit energy; made once in a process.

    The same numbers for the same seed and the same presence of pyroomacoustics.
    """
    rng = np.random.default_rng(seed)
    simulate = _image_source()
    rooms: list[Floats] = []
    for number in range(count):
        traced = number % 2 == 0 and simulate is not None
        response = _traced(simulate, rng) if traced else _decaying(rng)
        response = response / np.float32(np.sqrt(np.dot(response, response)))
        response.setflags(write=False)
        rooms.append(response)
    return tuple(rooms)


def _image_source() -> Any | None:
    """pyroomacoustics, or None: it takes a second to import and not everyone has it."""
    try:
        import pyroomacoustics
    except ImportError:
        return None
    return cast(Any, pyroomacoustics)


def _decaying(rng: np.random.Generator) -> Floats:
    """The direct path, then noise falling 60 dB in .1 to .7 s, the treble up to twice as fast."""
    seconds = np.arange(LENGTH, dtype=np.float32) / np.float32(SAMPLE_RATE)
    fall = rng.uniform(0.1, 0.7)
    low = coloured(LENGTH, 2.0, rng) * 10.0 ** (-3.0 * seconds / fall)
    high = coloured(LENGTH, 0.0, rng) * 10.0 ** (-3.0 * seconds / (fall * rng.uniform(0.5, 1.0)))
    out = (low + high).astype(np.float32)
    out[: int(rng.integers(16, 160))] = 0.0  # the first reflection needs its time to arrive
    distance = rng.uniform(-18.0, 4.0)  # dB of the reverberation against the direct path
    out *= np.float32(10.0 ** (distance / 20.0) / np.sqrt(np.dot(out, out) + 1e-12))
    out[0] = 1.0
    return out


def _traced(simulate: Any, rng: np.random.Generator) -> Floats:
    """A box-shaped room with a talker .1 to 2 m from the microphone."""
    size = rng.uniform([2.5, 2.5, 2.3], [7.0, 6.0, 3.2])
    fall = rng.uniform(0.15, 0.6)
    absorption, _ = simulate.inverse_sabine(fall, size)
    room = simulate.ShoeBox(
        size,
        fs=SAMPLE_RATE,
        materials=simulate.Material(min(float(absorption), 0.99)),
        max_order=_MAX_ORDER,
    )
    ear = rng.uniform(0.5, size - 0.5)
    direction = rng.standard_normal(3)
    step = direction / np.linalg.norm(direction) * log_uniform(0.1, 2.0, rng)
    room.add_source(np.clip(ear + step, 0.2, size - 0.2))
    room.add_microphone(ear)
    room.compute_rir()
    response = np.asarray(room.rir[0][0], dtype=np.float32)
    loud = np.abs(response)
    direct = int(np.argmax(loud > 0.5 * loud.max()))  # the first strong arrival ...
    direct += int(np.argmax(loud[direct : direct + 4]))  # ... at its crest
    out = response[direct : direct + LENGTH].copy()
    seconds = np.arange(len(out), dtype=np.float32) / np.float32(SAMPLE_RATE)
    late = rng.standard_normal(len(out)).astype(np.float32) * 10.0 ** (-3.0 * seconds / fall)
    out += (late * float(loud.max()) * rng.uniform(0.003, 0.02)).astype(np.float32)
    return out
