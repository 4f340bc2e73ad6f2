"""Text pieces: SentencePiece over lower-case words, shifted by the two control ids.

Ids: 0 nothing in this frame, 1 the turn is over, then the SentencePiece ids + 2.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

import sentencepiece as spm

from antiphon.errors import CorpusError

OFFSET = 2
_NOT_A_WORD = re.compile(r"[^a-z' ]+")


def normalise(text: str) -> str:
    """Lower-case words parted by single spaces; all but letters and apostrophes dropped."""
    return " ".join(_NOT_A_WORD.sub(" ", text.lower().replace("’", "'")).split())


class Tokenizer:
    """A trained SentencePiece model."""

    def __init__(self, model: bytes) -> None:
        self.model = model
        self._processor = spm.SentencePieceProcessor(model_proto=model)
        self.pieces_of = lru_cache(maxsize=65_536)(self._pieces_of)

    @classmethod
    def train(cls, sentences: Iterable[str], pieces: int, seed: int = 0) -> Tokenizer:
        """A unigram model of at most `pieces` pieces; frequent words become one piece each."""
        lines = [line for line in map(normalise, sentences) if line]
        if not lines:
            raise CorpusError("a tokenizer needs sentences, and there are none")
        model = io.BytesIO()
        spm.set_random_generator_seed(seed)
        spm.SentencePieceTrainer.train(
            sentence_iterator=iter(lines),
            model_writer=model,
            vocab_size=pieces,
            model_type="unigram",
            character_coverage=1.0,
            hard_vocab_limit=False,
            bos_id=-1,
            eos_id=-1,
            pad_id=-1,
            unk_id=0,
            required_chars="abcdefghijklmnopqrstuvwxyz'",
            split_by_whitespace=True,
            num_threads=1,
            minloglevel=2,
        )
        return cls(model.getvalue())

    @classmethod
    def load(cls, path: Path) -> Tokenizer:
        """Read a model file.

        Raises:
            CorpusError: the file is missing or is no SentencePiece model.
        """
        try:
            return cls(path.read_bytes())
        except (OSError, RuntimeError) as error:
            raise CorpusError(f"{path} is no usable SentencePiece model: {error}") from error

    def save(self, path: Path) -> None:
        """Write the model file."""
        path.write_bytes(self.model)

    @property
    def size(self) -> int:
        """Ids in use, the two control ids among them."""
        return OFFSET + int(self._processor.get_piece_size())

    def _pieces_of(self, word: str) -> tuple[int, ...]:
        return tuple(int(i) + OFFSET for i in self._processor.encode(word))

    def pieces(self, word: str) -> tuple[int, ...]:
        """Ids of one word."""
        return self.pieces_of(normalise(word))

    def text(self, ids: Iterable[int]) -> str:
        """Words of a stream of ids; control ids are skipped."""
        kept = [int(i) - OFFSET for i in ids if i >= OFFSET]
        return str(self._processor.decode(kept))
