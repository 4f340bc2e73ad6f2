"""Errors a person can act on: what was wrong, where, and what to do.

Every error that bad input can cause is an `AntiphonError`; the command line prints its
sentence and exits with status 2, so nobody reads a traceback for a mistyped path.
"""

from __future__ import annotations


class AntiphonError(Exception):
    """The root of all errors that antiphon raises on purpose."""


class AudioError(AntiphonError):
    """An audio file or buffer cannot be used."""


class ScenarioError(AntiphonError):
    """A scenario file is wrong; the sentence names the file and the line."""


class CorpusError(AntiphonError):
    """A corpus on disk is missing, incomplete or contradicts itself."""


class VoiceError(AntiphonError):
    """A speech engine is missing or failed."""


class RecipeError(AntiphonError):
    """A training recipe is wrong; the sentence names the file and the key."""


class BundleError(AntiphonError):
    """A bundle is missing, cut off, altered, or of another version."""


class DeviceError(AntiphonError):
    """There is no sound device to listen or speak through."""
