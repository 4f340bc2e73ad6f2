"""An external classifier behind an OpenAI-compatible moderation URL, asked beside the beat.

In: a sentence as it grows. Out: whether its words so far may be said, must not be, or are not known
yet; after the deadline the scenario says which. The beat never waits for the network.
"""

from __future__ import annotations

import json
import os
import time
import urllib.request
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, NamedTuple, cast

from antiphon.corpus.located_yaml import as_mapping
from antiphon.errors import AntiphonError
from antiphon.guard.aside import Aside
from antiphon.guard.config import ClassifierRules
from antiphon.guard.events import Finding

NAME = "classifier"
_MOST = 1_000_000  # bytes of an answer


class Text(NamedTuple):
    """The first `words` words of a sentence."""

    sentence: int
    words: int
    text: str


Ask = Callable[[str], str]
"""A text to why it is flagged, "" if it is not. Raises whatever went wrong."""


class Classifier:
    """One call's questions. `ask` is what asks (the URL, or a test's)."""

    def __init__(
        self,
        rules: ClassifierRules,
        *,
        executor: Executor | None,
        ask: Ask | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rules, self._clock = rules, clock
        post = ask or moderation(rules)
        self._aside: Aside[Text, str] = Aside(lambda text: post(text.text), executor)
        self._sentence = -1
        self._asked = 0
        self._known: dict[int, float] = {}  # words of the sentence -> when they were known
        self._passed = 0
        self._flag: tuple[int, str] | None = None  # words, why
        self.timeouts = 0
        self.errors = 0

    def look(self, sentence: int, words: tuple[str, ...]) -> None:
        """The words of a sentence so far."""
        if sentence != self._sentence:
            self._sentence, self._asked, self._passed = sentence, 0, 0
            self._flag, self._known = None, {}
        if len(words) > self._asked:
            now = self._clock()
            for count in range(self._asked + 1, len(words) + 1):
                self._known[count] = now
            self._asked = len(words)
            self._aside.ask(Text(sentence, len(words), " ".join(words)))
        self._collect()

    def verdict(self, sentence: int, word: int) -> Finding | None:
        """What stands against word number `word` (from 0) of a sentence; an open finding: nothing
        is known yet."""
        self._collect()
        if sentence != self._sentence or word < self._passed:
            return None
        if self._flag is not None:
            first = self._passed
            return Finding(NAME, f"The classifier flags it: {self._flag[1]}.", first)
        late = self._clock() - self._known.get(word + 1, self._clock())
        if late * 1e3 < self._rules.deadline_ms:
            return Finding(NAME, "The classifier has not answered yet.", word, open=True)
        self.timeouts += 1
        if self._rules.on_timeout == "pass":
            self._passed = max(self._passed, word + 1)
            return None
        return Finding(NAME, f"The classifier took over {self._rules.deadline_ms:.0f} ms.", word)

    def _collect(self) -> None:
        for done in self._aside.answers():
            text = done.question
            if done.answer is None:
                self.errors += 1
            if text.sentence != self._sentence:
                continue
            if done.answer is None and self._rules.on_error == "block":
                self._flag = (text.words, f"it failed ({done.error})")
            elif done.answer:
                self._flag = (text.words, done.answer)
            elif self._flag is None:
                self._passed = max(self._passed, text.words)


def moderation(rules: ClassifierRules) -> Ask:
    """Asks the rules' URL as OpenAI's moderation endpoint is asked.

    Raises AntiphonError where the variable with the key is not set, and for a URL that is not HTTP.
    """
    if not rules.url.startswith(("http://", "https://")):
        raise AntiphonError(f"the classifier's URL {rules.url!r} does not begin with http(s)://")
    headers = {"Content-Type": "application/json"}
    if rules.key_env:
        key = os.environ.get(rules.key_env)
        if not key:
            raise AntiphonError(
                f"the classifier's key is wanted in the environment variable {rules.key_env}, "
                "which is not set"
            )
        headers["Authorization"] = f"Bearer {key}"

    def ask(text: str) -> str:
        body: dict[str, str] = {"input": text} | ({"model": rules.model} if rules.model else {})
        request = urllib.request.Request(
            rules.url, data=json.dumps(body).encode(), headers=headers, method="POST"
        )
        with urllib.request.urlopen(request, timeout=rules.deadline_ms / 1e3) as answer:
            return read_moderation(json.loads(answer.read(_MOST)), rules.categories)

    return ask


def read_moderation(answer: Any, wanted: tuple[str, ...]) -> str:
    """The flagged categories of a moderation's answer; "" where nothing that counts is flagged.

    Raises AntiphonError for what is no such answer.
    """
    results = cast("dict[str, Any]", answer).get("results") if isinstance(answer, dict) else None
    if not isinstance(results, list) or not results:
        raise AntiphonError("the classifier's answer has no `results`")
    result = cast("dict[str, Any]", results[0]) if isinstance(results[0], dict) else {}
    if not isinstance(result.get("flagged"), bool):
        raise AntiphonError("the classifier's answer does not say `flagged`")
    table = as_mapping(result.get("categories")) or {}
    flags = [name for name, flagged in table.items() if flagged is True]
    if wanted:
        flags = [name for name in flags if name in wanted]
        return ", ".join(flags)
    return ", ".join(flags) or "flagged" if result["flagged"] else ""
