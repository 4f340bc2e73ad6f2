"""The duplex network: caller's log-mel and the agent's own past in, five streams out.

In and out: torch tensors, one row a slot and one column a frame of 80 ms; the past is an
explicit flat dictionary of tensors (`State`). Knows nothing of files, scenarios or losses.
"""

from __future__ import annotations
