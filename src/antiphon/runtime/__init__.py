"""The ONNX step on a clock: engine (slots), session (one call), agent (whole files).

In: 16 kHz samples in pieces of any size. Out: typed events and the agent's samples.
Knows nothing of torch, of training, or of how a bundle came to be.
"""

from __future__ import annotations
