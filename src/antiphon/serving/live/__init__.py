"""OpenAI's Live protocol in front of a call: the protocol whose model owns its turns.

In: a client's messages and what happens in its call. Out: messages for the client and acts on the
call. `protocol` is pure; `socket` brings it to a WebSocket. It knows nothing of engines.
"""

from __future__ import annotations
