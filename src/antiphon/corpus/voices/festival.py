"""festival's voices: one process a worker, requests streamed to it, word times from its items.

Starting festival takes most of a second, an utterance a few hundredths: so the process stays.
Each request sets everything that shapes the sound, hence no request depends on those before it.
"""

from __future__ import annotations

import os
import random
import selectors
import shutil
import subprocess
import tempfile
from collections import OrderedDict
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt
import soundfile as sf

from antiphon.corpus.conversation import Speaker
from antiphon.corpus.voices.engine import EngineVoice
from antiphon.corpus.voices.manner import AS_MADE, DELIVERIES, Manner
from antiphon.corpus.voices.speech import (
    CASUAL,
    Sound,
    Speech,
    Spellings,
    Timed,
    align,
    finish,
    sayable,
)
from antiphon.errors import VoiceError

PACKAGES = {  # voice of festival -> Debian package
    "ked_diphone": "festvox-kdlpc16k",
    "kal_diphone": "festvox-kallpc16k",
    "cmu_us_slt_arctic_hts": "festvox-us-slt-hts",
}
AGENT = "cmu_us_slt_arctic_hts"
# The voice is selected before its settings are read, and that brings its own parameters back.
_PACED = (
    '(set! hts_engine_params (append cmu_us_slt_arctic_hts::hts_engine_params \'(("-r" {:.3f}))))'
)

_TIMEOUT = 60  # s for one utterance
_DONE, _FAILED = "antiphon-done", "antiphon-failed"
_REMEMBERED = 1024  # utterances of the agent, who repeats itself word for word

# cmulex has "latte" as L AE T and "cappuccino" as K AE P UW; the entries last as long as the
# lexicon is selected, which every voice does for itself.
_LEXICON = """
(define (antiphon-lexicon)
  (lex.add.entry '("latte" nil (((l aa) 1) ((t ey) 0))))
  (lex.add.entry '("cappuccino" nil (((k ae) 1) ((p ax) 0) ((ch iy) 1) ((n ow) 0)))))
"""
_PROGRAM = (
    _LEXICON
    + """
(set! antiphon-voice "")
(define (antiphon-select name)
  (if (not (string-equal antiphon-voice name))
      (begin
        (eval (list (intern (string-append "voice_" name))))
        (antiphon-lexicon)
        (set! antiphon-break-method (Parameter.get 'Phrase_Method))
        (set! antiphon-break-tree (if (symbol-bound? 'phrase_cart_tree) phrase_cart_tree nil))
        (set! antiphon-voice name))))
(define (antiphon-phrasing natural)
  (if natural
      (begin
        (Parameter.set 'Phrase_Method antiphon-break-method)
        (set! phrase_cart_tree antiphon-break-tree))
      (begin
        (Parameter.set 'Phrase_Method 'cart_tree)
        (set! phrase_cart_tree simple_phrase_cart_tree))))
(define (antiphon-say words file)
  (let ((utt (eval (list 'Utterance 'Text words))))
    (utt.synth utt)
    (utt.save.wave utt file 'riff)
    (mapcar
      (lambda (token)
        (let ((start -1) (end 0))
          (mapcar
            (lambda (word)  ; punctuation is a word here, one that ends at 0
              (if (> (item.feat word "word_end") 0)
                  (begin
                    (if (< start 0) (set! start (item.feat word "word_start")))
                    (set! end (item.feat word "word_end")))))
            (item.daughters token))
          (if (> end 0) (format t "%f %f\\n" start end))))
      (utt.relation.items utt 'Token))
    (format t "antiphon-done\\n")))
"""
)


class Festival:
    """The process; close it, or leave its `with` block, when done."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: Path | None = None
        self._left = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the process and remove its scratch file; a later request starts it again."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def say(
        self, voice: str, line: str, settings: str, natural_breaks: bool
    ) -> tuple[npt.NDArray[np.float32], int, list[Timed]]:
        """Samples float32 [N], their rate (Hz), and each token with start and end (s).

        settings: Scheme that shapes the sound. natural_breaks: also pause where festival's
        phrasing model would, not only at punctuation.
        """
        process = self._running()
        assert self._folder is not None
        assert process.stdin is not None
        wave = self._folder / "utterance.wav"
        request = (
            f'(unwind-protect (begin (antiphon-select "{voice}") '
            f"(antiphon-phrasing {'t' if natural_breaks else 'nil'}) {settings} "
            f'(antiphon-say "{line}" "{wave}")) (format t "{_FAILED}\\n"))(fflush nil)\n'
        )
        try:
            process.stdin.write(request.encode("ascii"))
            process.stdin.flush()
            lines = self._answer(process, line)
        except (BrokenPipeError, VoiceError) as error:
            self.close()
            if isinstance(error, VoiceError):
                raise
            raise VoiceError(f'festival ended while it was asked to say "{line}"') from error
        if lines[-1] == _FAILED:
            package = PACKAGES.get(voice, "festival")
            raise VoiceError(
                f'festival could not say "{line}" as {voice}; '
                f"if the voice is missing, run: apt-get install {package}"
            )
        tokens: list[Timed] = []
        for token, row in zip_longest(line.split(), lines[:-1], fillvalue=""):
            start, _, end = row.partition(" ")
            if end:  # fewer or more than were given is for `align` to refuse
                tokens.append((token, float(start), float(end)))
        samples, rate = sf.read(wave, dtype="float32")
        return np.asarray(samples, np.float32), rate, tokens

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is None:
            return self._process
        self.close()
        try:
            self._process = subprocess.Popen(
                ["festival", "--pipe"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        except FileNotFoundError as error:
            packages = " ".join(["festival", *PACKAGES.values()])
            raise VoiceError(
                f"festival is not installed; run: apt-get install {packages}"
            ) from error
        self._folder = Path(tempfile.mkdtemp(prefix="antiphon-festival-"))
        self._left = b""
        assert self._process.stdin is not None
        self._process.stdin.write(_PROGRAM.encode())
        return self._process

    def _answer(self, process: subprocess.Popen[bytes], line: str) -> list[str]:
        assert process.stdout is not None
        lines: list[str] = []
        with selectors.DefaultSelector() as waiting:
            waiting.register(process.stdout, selectors.EVENT_READ)
            while not lines or lines[-1] not in (_DONE, _FAILED):
                if not waiting.select(_TIMEOUT):
                    raise VoiceError(f'festival took over {_TIMEOUT} s for "{line}"')
                chunk = os.read(process.stdout.fileno(), 65_536)
                if not chunk:
                    raise VoiceError(f'festival ended while it was asked to say "{line}"')
                *whole, self._left = (self._left + chunk).split(b"\n")
                lines.extend(row.decode() for row in whole)
        return lines


@dataclass(frozen=True)
class FestivalVoice(EngineVoice):
    """A diphone voice of festival in somebody's manner."""

    engine: Festival
    person: str
    manner: Manner = AS_MADE
    speaker: Speaker = "caller"
    spellings: ClassVar[Spellings] = CASUAL

    @property
    def name(self) -> str:
        """As the corpus records it."""
        return f"festival:{self.person}"

    def sound(self, line: str, manner: Manner, rng: random.Random) -> Sound:
        """See EngineVoice."""
        settings = (
            f"(Parameter.set 'Duration_Stretch {manner.stretch * manner.tract:.3f})"
            f"(set! int_lr_params '((target_f0_mean {115 * manner.pitch:.1f})"
            f" (target_f0_std {16 * manner.swing:.1f}) (model_f0_mean 170) (model_f0_std 34)))"
        )
        natural = rng.random() < 0.3
        return self.engine.say(self.person, line, settings, natural)


class AgentVoice:
    """The agent: slt's statistical voice, pausing at punctuation; two utterances of the same words
    in the same style and at the same speed are the same.
    """

    name = "festival:slt-hts"
    speaker: Speaker = "agent"

    def __init__(self, engine: Festival) -> None:
        self._engine = engine
        self._said: OrderedDict[tuple[str, str, float], Speech] = OrderedDict()

    def speak(
        self, text: str, rng: random.Random, tone: str = "neutral", speed: float = 1.0
    ) -> Speech:
        """Say the text in a style (`tone`, of STYLES) at a speed relative to it; `rng` changes
        nothing. Raises VoiceError as others do.
        """
        del rng
        text = sayable(text)
        key = (text, tone, speed)
        if key not in self._said:
            manner = DELIVERIES[tone]
            rate_of_speech = speed / (manner.stretch * manner.tract)
            samples, rate, tokens = self._engine.say(
                AGENT, text, _PACED.format(rate_of_speech), natural_breaks=False
            )
            words = align(text, [[token] for token in text.split()], tokens, self.name)
            self._said[key] = finish(samples, rate, words, manner)
            if len(self._said) > _REMEMBERED:
                self._said.popitem(last=False)
        self._said.move_to_end(key)
        return self._said[key]
