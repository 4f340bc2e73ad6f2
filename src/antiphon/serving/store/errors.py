"""What can be wrong with a store, in one sentence."""

from __future__ import annotations

from antiphon.errors import AntiphonError


class StoreError(AntiphonError):
    """A store of calls cannot be opened, read or written; the sentence says which and why."""


class NoSuchCall(StoreError):
    """There is no call of this id, or it was erased."""


class CallInProgress(StoreError):
    """The call is still going on, so this cannot be done to it yet."""


class BadFilter(StoreError):
    """A condition for a list of calls cannot be used; `field` is which."""

    def __init__(self, field: str, sentence: str) -> None:
        super().__init__(f"{field}: {sentence}")
        self.field = field
