"""Strings of digits as people say them on the telephone, and as an agent reads them back.

In: "20558". Out: words such as "two oh, double five eight" (callers) or
"two zero five, five eight" (the agent). Knows nothing of slots or scenarios.
"""

from __future__ import annotations

import random

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_MULTIPLES = {"double": 2, "triple": 3}
_AGAIN = 0.22  # of a digit that repeats the one before it, beside those that do by chance


def sample(rng: random.Random, shortest: int, longest: int) -> str:
    """A number of any length in the span; digits repeat more often than by chance."""
    digits: list[str] = []
    for _ in range(rng.randint(shortest, longest)):
        again = bool(digits) and rng.random() < _AGAIN
        digits.append(digits[-1] if again else str(rng.randrange(10)))
    return "".join(digits)


def say_as_caller(digits: str, rng: random.Random) -> list[str]:
    """Tokens: groups of two to four with commas between, "oh" or "zero", "double five"."""
    zero = rng.choice(("oh", "zero"))
    doubles = rng.random() < 0.4
    grouped = rng.random() < 0.75
    tokens: list[str] = []
    at = 0
    while at < len(digits):
        left = len(digits) - at
        size = min(left, rng.choice((2, 3, 3, 4))) if grouped else left
        if left - size == 1:
            size += 1
        group = digits[at : at + size]
        at += size
        tokens += [","] if tokens else []
        index = 0
        while index < len(group):
            word = zero if group[index] == "0" else WORDS[int(group[index])]
            if doubles and group[index + 1 : index + 2] == group[index]:
                tokens += ["double", word]
                index += 2
            else:
                tokens.append(word)
                index += 1
    return tokens


def say_as_agent(digits: str) -> list[str]:
    """Tokens: digit by digit, a comma between two halves."""
    words = [WORDS[int(digit)] for digit in digits]
    half = len(words) // 2
    return [*words[:half], ",", *words[half:]] if half > 1 else words


def read(words: list[str]) -> str:
    """The longest run of digit words as digits; "oh", "double" and "triple" are understood."""
    best = run = ""
    times = 1
    for word in [*words, ""]:
        if word in _MULTIPLES:
            times = _MULTIPLES[word]
        elif word == "oh" or word in WORDS:
            run += times * ("0" if word == "oh" else str(WORDS.index(word)))
            times = 1
        else:
            best = max(best, run, key=len)
            run, times = "", 1
    return best
