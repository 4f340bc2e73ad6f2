"""Whether words refuse, in any scenario's words: regret, inability, or a limit of what is done."""

from __future__ import annotations

import re

_REFUSAL = re.compile(
    r"\b(?:sorry|afraid|cannot|can't|can not|couldn't|won't|will not|unable|not able|not allowed"
    r"|not permitted|refuse|decline|against (?:the|our) (?:rules|law)"
    r"|(?:i|we) (?:can )?only|(?:i|we) (?:don't|do not) (?:have|sell|serve|do|offer|know))\b"
)
_BEGINNING = 12  # words within which a refusal is said


def refuses(plain: str) -> bool:
    """Whether plain text says regret, inability or a limit within its first twelve words."""
    return bool(_REFUSAL.search(" ".join(plain.split()[:_BEGINNING])))
