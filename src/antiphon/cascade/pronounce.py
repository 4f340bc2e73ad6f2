"""Pronunciations for the recogniser: its own dictionary, and espeak-ng for the words it lacks.

In: words. Out: ARPAbet phones as the acoustic model names them ("L AA T EY"). A word that
neither knows has none, and whoever compiles a grammar leaves out what would need it.
"""

from __future__ import annotations

import ctypes
import importlib
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

# fmt: off
PHONES = (
    "AA", "AE", "AH", "AO", "AW", "AY", "B", "CH", "D", "DH", "EH", "ER", "EY", "F", "G", "HH",
    "IH", "IY", "JH", "K", "L", "M", "N", "NG", "OW", "OY", "P", "R", "S", "SH", "T", "TH", "UH",
    "UW", "V", "W", "Y", "Z", "ZH",
)
# fmt: on

# espeak-ng's IPA for English -> ARPAbet; longer signs first where one begins another.
_IPA = {
    "tʃ": "CH", "dʒ": "JH", "aɪə": "AY ER", "aɪɚ": "AY ER", "aɪ": "AY", "aʊ": "AW", "eɪ": "EY",
    "oʊ": "OW", "əʊ": "OW", "ɔɪ": "OY", "ɪɹ": "IH R", "ɛɹ": "EH R", "ʊɹ": "UH R", "ɑːɹ": "AA R",
    "ɔːɹ": "AO R", "oːɹ": "AO R", "ɜː": "ER", "əl": "AH L", "iə": "IY AH", "ɑː": "AA", "ɔː": "AO",
    "iː": "IY", "uː": "UW", "oː": "AO", "ɚ": "ER", "ə": "AH", "ɐ": "AH", "ʌ": "AH", "æ": "AE",
    "ɛ": "EH", "e": "EH", "ɪ": "IH", "ᵻ": "IH", "i": "IY", "ʊ": "UH", "u": "UW", "ɔ": "AO",
    "ɑ": "AA", "ɒ": "AA", "o": "OW", "a": "AA", "b": "B", "d": "D", "ð": "DH", "f": "F", "ɡ": "G",
    "g": "G", "h": "HH", "j": "Y", "k": "K", "l": "L", "m": "M", "n": "N", "ŋ": "NG", "p": "P",
    "ɹ": "R", "r": "R", "s": "S", "ʃ": "SH", "t": "T", "ɾ": "T", "ʔ": "T", "θ": "TH", "v": "V",
    "w": "W", "x": "K", "z": "Z", "ʒ": "ZH",
}  # fmt: skip
_SIGN = re.compile("|".join(sorted(map(re.escape, _IPA), key=len, reverse=True)))
_UTF8, _AS_IPA = 1, 2
_SYNCHRONOUS, _NO_EXIT = 2, 0x8000


def dictionary(words: Iterable[str], path: Path) -> dict[str, list[str]]:
    """word -> its pronunciations, from a dictionary in CMU's format or made by espeak-ng."""
    wanted = set(words)
    found: dict[str, list[str]] = {}
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            head, _, phones = line.strip().partition(" ")
            word = head.partition("(")[0]
            if word in wanted:
                found.setdefault(word, []).append(phones.strip())
    for word in sorted(wanted - set(found)):
        phones = from_ipa(_espeak_ipa(word))
        if phones:
            found[word] = [phones]
    return found


def from_ipa(ipa: str) -> str:
    """ "smˈuːði" -> "S M UW DH IY"; "" where a sign has no counterpart."""
    plain = re.sub("[ˈˌ\\s͡_-]", "", ipa)
    phones: list[str] = []
    at = 0
    while at < len(plain):
        sign = _SIGN.match(plain, at)
        if sign is None:
            return ""
        phones.append(_IPA[sign.group()])
        at = sign.end()
    return " ".join(phones)


def _espeak_ipa(word: str) -> str:
    """The word in espeak-ng's IPA; "" without the library."""
    library = _espeak()
    if library is None:
        return ""
    text = ctypes.c_char_p(word.encode())
    said = library.espeak_TextToPhonemes(ctypes.byref(text), _UTF8, _AS_IPA)
    return said.decode() if said else ""


@cache
def _espeak() -> Any:
    try:
        loader: Any = importlib.import_module("espeakng_loader")
        library = ctypes.CDLL(loader.get_library_path())
    except (ImportError, OSError):
        return None
    data = str(loader.get_data_path()).encode()
    if library.espeak_Initialize(_SYNCHRONOUS, 0, data, _NO_EXIT) < 0:
        return None
    library.espeak_SetVoiceByName(b"en-us")
    library.espeak_TextToPhonemes.restype = ctypes.c_char_p
    return library
