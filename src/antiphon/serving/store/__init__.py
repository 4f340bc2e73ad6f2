"""Calls, kept: words, events, tool calls and sound, with an audit log that shows any change.

In: what observers of calls are told. Out: lists, whole calls, recordings, exports that a network
can be trained on. It knows nothing of protocols, nor of who may read what.
"""

from __future__ import annotations

from antiphon.serving.store.config import Limits, Retention, StoreConfig, default_folder
from antiphon.serving.store.errors import CallInProgress, NoSuchCall, StoreError
from antiphon.serving.store.reading import CallRecord, CallSummary, Filter, Page
from antiphon.serving.store.store import Store

__all__ = [
    "CallInProgress",
    "CallRecord",
    "CallSummary",
    "Filter",
    "Limits",
    "NoSuchCall",
    "Page",
    "Retention",
    "Store",
    "StoreConfig",
    "StoreError",
    "default_folder",
]
