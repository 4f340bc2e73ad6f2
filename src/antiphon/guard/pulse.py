"""Whether the network is alive: one that gives the same again and again hears nobody.

A network is given new noise with every frame, so no two of its outputs are alike to the last bit,
not in silence either.
"""

from __future__ import annotations

from antiphon.runtime.engine import StepOutput

STILL = 6  # frames in a row that show that it stands still: 0.48 s


class Pulse:
    """One call's engine."""

    def __init__(self) -> None:
        self._last: tuple[object, ...] | None = None
        self._alike = 0

    def stopped(self, out: StepOutput) -> bool:
        """Take a frame's output; whether this one shows that it stands still (told once)."""
        if not len(out.codes):
            return False  # no network's: what stands for it where it has gone
        seen = (
            *(out.vad, out.confidence, out.energy, out.pitch, out.text_ready),
            *(out.turn.tobytes(), out.tone.tobytes(), out.codes.tobytes()),
        )
        self._alike = self._alike + 1 if seen == self._last else 0
        self._last = seen
        return self._alike == STILL
