"""The codec: waveform <-> codes, and how it is trained.

In: the agent's speech, float32 16 kHz. Out: 2 pitch codes and a few timbre codes every 80 ms, and
speech again from those codes. Knows nothing of words, callers or the network that predicts codes.
"""

from __future__ import annotations
