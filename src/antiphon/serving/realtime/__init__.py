"""Realtime (GA): the protocol with the most clients, mapped onto a model that owns its turns.

In: a client's events as text, and a `LiveCall`'s messages. Out: the server's events. The protocol
object (`protocol.Realtime`) has no socket; `socket` and the WebRTC transport carry it.
"""

from __future__ import annotations
