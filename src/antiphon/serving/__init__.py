"""One endpoint for an agent: protocols, calls, keys and limits around the batching clock.

In: a bundle and connections of the ecosystem's stock clients. Out: calls, and what observers (the
store, metrics, logs) are told of them. It knows nothing of training and needs no torch.
"""

from __future__ import annotations
