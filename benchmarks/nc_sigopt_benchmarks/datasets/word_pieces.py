"""BERT's tokens: words cut into the longest pieces that a vocabulary has.

Y. Wu et al., "Google's Neural Machine Translation System", 2016, section 4.1 (WordPiece); the
cleaning before it is that of BERT's uncased models (https://github.com/google-research/bert).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nc_sigopt_strategy.errors import DataError

_START, _END, _UNKNOWN, _PADDING = "[CLS]", "[SEP]", "[UNK]", "[PAD]"
_LONGEST_WORD = 100


class WordPieces:
    """Sentences as token numbers.

    Args:
        vocabulary: A piece per line; its number is that of the line. Those that go on a word
            begin with ``##``.

    Raises:
        DataError: The file is missing, or lacks the pieces that every sentence needs.
    """

    def __init__(self, vocabulary: Path) -> None:
        try:
            lines = vocabulary.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(
                f"The vocabulary {vocabulary} cannot be read: {error}.",
                "Install its package anew.",
            ) from error
        self._numbers = {piece: number for number, piece in enumerate(lines)}
        missing = [p for p in (_START, _END, _UNKNOWN, _PADDING) if p not in self._numbers]
        if missing:
            raise DataError(
                f"The vocabulary {vocabulary} has no {', '.join(missing)}.",
                "Give one of BERT's uncased models.",
            )

    def pieces(self, sentence: str) -> list[str]:
        """The pieces of a sentence, without those that mark its ends."""
        return [piece for word in _words(sentence) for piece in self._cut(word)]

    def batch(self, sentences: Sequence[str], longest: int) -> dict[str, npt.NDArray[np.int64]]:
        """What a BERT encoder takes, padded to the longest sentence of the batch.

        Args:
            sentences: At least one.
            longest: Tokens at most, the marks of the ends included.

        Returns:
            ``input_ids``, ``attention_mask`` and ``token_type_ids`` of shape (sentences, tokens).
        """
        rows = [[_START, *self.pieces(sentence)[: longest - 2], _END] for sentence in sentences]
        ids = np.full((len(rows), max(map(len, rows))), self._numbers[_PADDING], np.int64)
        mask = np.zeros_like(ids)
        for row, pieces in enumerate(rows):
            ids[row, : len(pieces)] = [self._numbers[piece] for piece in pieces]
            mask[row, : len(pieces)] = 1
        return {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}

    def _cut(self, word: str) -> list[str]:
        pieces: list[str] = []
        begin = 0
        while begin < len(word):
            mark = "##" if begin else ""
            ends = range(len(word), begin, -1)
            known = next((e for e in ends if mark + word[begin:e] in self._numbers), None)
            if known is None or len(word) > _LONGEST_WORD:
                return [_UNKNOWN]
            pieces.append(mark + word[begin:known])
            begin = known
        return pieces


def _words(sentence: str) -> Iterator[str]:
    """Lower-case words without accents; each mark of punctuation is a word of its own."""
    word = ""
    for character in unicodedata.normalize("NFD", sentence.lower()):
        kind = unicodedata.category(character)
        if kind == "Mn" or (kind.startswith("C") and not character.isspace()):
            continue
        alone = _is_mark(character, kind) or _is_ideograph(character)
        if alone or character.isspace():
            if word:
                yield word
            word = ""
            if alone:
                yield character
        else:
            word += character
    if word:
        yield word


def _is_mark(character: str, kind: str) -> bool:
    # In ASCII all that is neither letter nor digit counts, such as "$" and "^".
    others = character.isascii() and not character.isalnum() and not character.isspace()
    return kind.startswith("P") or others


def _is_ideograph(character: str) -> bool:
    return unicodedata.name(character, "").startswith("CJK ")
