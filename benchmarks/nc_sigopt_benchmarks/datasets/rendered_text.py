"""Lines and pages of text as images, drawn with the fonts that Matplotlib ships.

Sizes and normalization are those that the models of PaddleOCR were trained with: 48 pixels high
and up to 320 wide for a line that is read, 192 for one whose direction is told; pixels in [-1, 1].
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nc_sigopt_benchmarks.extras import needed

Pixels = npt.NDArray[np.float32]

LINE_HEIGHT, LINE_WIDTH, DIRECTION_WIDTH = 48, 320, 192
PAGE_SIDE = 480
_FONTS = (
    "DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSerif", "DejaVuSerif-Italic",
    "DejaVuSansMono", "STIXGeneral",
)  # fmt: skip
_MARGIN, _SMALLEST, _LARGEST = 4, 12, 30
_LINES_PER_PAGE = 14


def line_image(words: Sequence[str], width: int, rng: np.random.Generator) -> Pixels:
    """As many of some words as fit on one line, and padding behind them.

    Args:
        words: At least one; the first is cut if it is too long by itself.
        width: Of the image in pixels.
        rng: Draws font, size and colours.

    Returns:
        Of shape (3, ``LINE_HEIGHT``, width), in [-1, 1]; 0 in the padding.
    """
    size = int(rng.integers(26, 38))
    font = _font(int(rng.integers(len(_FONTS))), size)
    text = _fitting(words, font, width - 2 * _MARGIN)
    used = min(width, int(font.getlength(text)) + 2 * _MARGIN)
    picture = _paper((used, LINE_HEIGHT), rng)
    _write(picture, (_MARGIN, LINE_HEIGHT // 2), text, font, rng, anchor="lm")
    pixels = np.zeros((3, LINE_HEIGHT, width), np.float32)
    pixels[:, :, :used] = _normalized(_noisy(picture, rng))
    return pixels


def turned(line: Pixels) -> Pixels:
    """A line upside down, its padding still at the right."""
    used = int(np.flatnonzero(line.any(axis=(0, 1)))[-1]) + 1
    found = np.zeros_like(line)
    found[:, :, :used] = line[:, ::-1, :used][:, :, ::-1]
    return found


def page_image(sentences: Sequence[str], rng: np.random.Generator) -> Pixels:
    """A page with a line for each sentence, as far as there is room.

    Args:
        sentences: Cut where they are wider than what is left of their line.
        rng: Draws fonts, sizes, places and colours.

    Returns:
        Of shape (3, ``PAGE_SIDE``, ``PAGE_SIDE``), in [-1, 1].
    """
    picture = _paper((PAGE_SIDE, PAGE_SIDE), rng)
    top = int(rng.integers(_MARGIN, 3 * _LARGEST))
    for sentence in sentences[:_LINES_PER_PAGE]:
        size = int(rng.integers(_SMALLEST, _LARGEST))
        if top + size + _MARGIN > PAGE_SIDE:
            break
        font = _font(int(rng.integers(len(_FONTS))), size)
        left = int(rng.integers(_MARGIN, PAGE_SIDE // 4))
        text = _fitting(sentence.split(), font, PAGE_SIDE - left - _MARGIN)
        _write(picture, (left, top), text, font, rng, anchor="lt")
        top += int(size * rng.uniform(1.3, 3.0))
    return _normalized(_noisy(picture, rng))


@cache
def _font(number: int, size: int) -> Any:
    folder = Path(needed("matplotlib").get_data_path()) / "fonts" / "ttf"
    return needed("PIL.ImageFont").truetype(str(folder / f"{_FONTS[number]}.ttf"), size)


def _fitting(words: Sequence[str], font: Any, width: int) -> str:
    text = words[0]
    while len(text) > 1 and font.getlength(text) > width:
        text = text[:-1]
    for word in words[1:]:
        if font.getlength(f"{text} {word}") > width:
            break
        text = f"{text} {word}"
    return text


def _paper(size: tuple[int, int], rng: np.random.Generator) -> Any:
    light = tuple(int(c) for c in rng.integers(200, 256, 3))
    return needed("PIL.Image").new("RGB", size, light)


def _write(
    picture: Any,
    place: tuple[int, int],
    text: str,
    font: Any,
    rng: np.random.Generator,
    anchor: str,
) -> None:
    dark = tuple(int(c) for c in rng.integers(0, 90, 3))
    needed("PIL.ImageDraw").Draw(picture).text(place, text, dark, font, anchor=anchor)


def _noisy(picture: Any, rng: np.random.Generator) -> Pixels:
    """As a camera has it: a little blur, and noise of a few grey levels."""
    blurred = picture.filter(needed("PIL.ImageFilter").GaussianBlur(float(rng.uniform(0.0, 0.8))))
    pixels = np.asarray(blurred, np.float32)
    noise = rng.normal(0.0, 4.0, pixels.shape).astype(np.float32)
    return np.clip(pixels + noise, 0, 255)


def _normalized(pixels: Pixels) -> Pixels:
    return np.ascontiguousarray((pixels / 127.5 - 1.0).transpose(2, 0, 1), np.float32)
