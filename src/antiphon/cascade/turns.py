"""Where a caller's turn begins and ends, from the probabilities of a voice activity detector.

Windows in, edges out. A turn opens when speech has gone on for a moment, so a click does not
open one; whether a silence ends it is for the session to say, which knows the words.
"""

from __future__ import annotations

from dataclasses import dataclass

from antiphon.audio import SAMPLE_RATE
from antiphon.cascade.vad import WINDOW

SECONDS = WINDOW / SAMPLE_RATE
_HYSTERESIS = 0.15  # speech goes on while its probability is not this far below the threshold


@dataclass
class Activity:
    """Speech and silence so far; times are seconds from the stream's start.

    threshold: probability from which a window is speech. least: seconds of speech, with at most
    two windows missing in a row, that make an onset.
    """

    threshold: float
    least: float
    now: float = 0.0
    speaking: bool = False
    onset: float = 0.0
    """Where the speech began that is being heard, or was last."""
    last: float = 0.0
    """Where its latest window of speech ended."""
    _run: float = 0.0  # seconds of speech in the attempt at an onset

    def push(self, probability: float) -> None:
        """The next window."""
        self.now += SECONDS
        limit = self.threshold - (_HYSTERESIS if self.speaking or self._run else 0.0)
        if probability >= limit:
            if not self.speaking and not self._run:
                self.onset = self.now - SECONDS
            self._run += SECONDS
            self.last = self.now
            self.speaking = self.speaking or self._run >= self.least
        elif not self.speaking and self.now - self.last > 2.5 * SECONDS:
            self._run = 0.0

    @property
    def silence(self) -> float:
        """Seconds since the last window of speech."""
        return self.now - self.last

    @property
    def trying(self) -> bool:
        """Whether speech is heard that may yet become an onset."""
        return not self.speaking and self._run > 0

    def close(self) -> None:
        """The turn is over: the next speech is a new onset."""
        self.speaking, self._run = False, 0.0
