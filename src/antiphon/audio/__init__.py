"""Samples: read, write, resample, log-mel, G.711, augment.

In and out: numpy float32 in [-1, 1]; the house rate is 16 kHz and the house frame 80 ms.
Knows nothing of words, codes or networks.
"""

from __future__ import annotations

SAMPLE_RATE = 16_000  # Hz
FRAME = 1_280  # samples: 80 ms, the network's step
FRAME_RATE = SAMPLE_RATE / FRAME  # 12.5 Hz
HOP = 160  # samples: 10 ms, the mel and pitch step
