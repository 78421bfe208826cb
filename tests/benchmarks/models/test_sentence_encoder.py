"""The graph that is written for a BERT encoder's weights, and the tokens that it takes."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nc_sigopt_benchmarks.datasets.word_pieces import WordPieces
from nc_sigopt_benchmarks.models.sentence_encoder import sentence_encoder
from nc_sigopt_strategy.errors import DataError, ModelError

onnxruntime = pytest.importorskip("onnxruntime")

WORDS, PLACES, WIDTH, INNER, HEADS, EPSILON = 11, 7, 8, 12, 2, 1e-6
RNG = np.random.default_rng(1)


def weights() -> dict[str, Any]:
    def normal(*shape: int) -> Any:
        return RNG.normal(size=shape).astype(np.float32)

    found = {
        "embeddings.word_embeddings.weight": normal(WORDS, WIDTH),
        "embeddings.position_embeddings.weight": normal(PLACES, WIDTH),
        "embeddings.token_type_embeddings.weight": normal(2, WIDTH),
    }
    normed = ["embeddings.LayerNorm"]
    for layer in ("encoder.layer.0.", "encoder.layer.1."):
        for part in ("query", "key", "value"):
            name = f"{layer}attention.self.{part}"
            found |= {f"{name}.weight": normal(WIDTH, WIDTH), f"{name}.bias": normal(WIDTH)}
        for name, shape in (
            ("attention.output.dense", (WIDTH, WIDTH)),
            ("intermediate.dense", (INNER, WIDTH)),
            ("output.dense", (WIDTH, INNER)),
        ):
            found[f"{layer}{name}.weight"] = normal(*shape)
            found[f"{layer}{name}.bias"] = normal(shape[0])
        normed += [f"{layer}attention.output.LayerNorm", f"{layer}output.LayerNorm"]
    for name in normed:
        found |= {f"{name}.weight": 1 + normal(WIDTH) / 4, f"{name}.bias": normal(WIDTH)}
    return found


def reference(of: dict[str, Any], ids: Any, kinds: Any) -> Any:
    """The embedding of one sentence without padding."""

    def linear(value: Any, name: str) -> Any:
        return value @ of[f"{name}.weight"].T + of[f"{name}.bias"]

    def normed(value: Any, name: str) -> Any:
        centred = value - value.mean(axis=-1, keepdims=True)
        spread = np.sqrt((centred**2).mean(axis=-1, keepdims=True) + EPSILON)
        return centred / spread * of[f"{name}.weight"] + of[f"{name}.bias"]

    words, places, types = (
        of[f"embeddings.{n}_embeddings.weight"] for n in ("word", "position", "token_type")
    )
    value = normed(words[ids] + places[: len(ids)] + types[kinds], "embeddings.LayerNorm")
    for layer in ("encoder.layer.0.", "encoder.layer.1."):
        mixed = []
        q, k, v = (linear(value, f"{layer}attention.self.{n}") for n in ("query", "key", "value"))
        for part in np.split(np.arange(WIDTH), HEADS):
            scores = q[:, part] @ k[:, part].T / math.sqrt(len(part))
            shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
            mixed.append(shares / shares.sum(axis=-1, keepdims=True) @ v[:, part])
        found = linear(np.concatenate(mixed, axis=-1), f"{layer}attention.output.dense")
        value = normed(found + value, f"{layer}attention.output.LayerNorm")
        inner = linear(value, f"{layer}intermediate.dense")
        inner = inner * (1 + np.vectorize(math.erf)(inner / math.sqrt(2))) / 2
        value = normed(linear(inner, f"{layer}output.dense") + value, f"{layer}output.LayerNorm")
    mean = value.mean(axis=0)
    return mean / np.linalg.norm(mean)


def test_it_computes_what_an_encoder_is_defined_as() -> None:
    made = weights()
    model = sentence_encoder(made, heads=HEADS, epsilon=EPSILON)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    ids = np.array([[3, 5, 1, 9, 2], [4, 6, 7, 0, 0]])
    mask = np.array([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])
    kinds = np.array([[0, 0, 0, 1, 1], [0, 0, 0, 0, 0]])
    feed = {"input_ids": ids, "attention_mask": mask, "token_type_ids": kinds}
    (found,) = session.run(None, feed)
    expected = [reference(made, ids[0], kinds[0]), reference(made, ids[1, :3], kinds[1, :3])]
    assert np.allclose(found, expected, atol=1e-4)


def test_missing_weights_are_named() -> None:
    made = weights()
    del made["encoder.layer.1.output.dense.bias"]
    with pytest.raises(ModelError, match=r"have no encoder\.layer\.1\.output\.dense\.bias"):
        sentence_encoder(made, heads=HEADS, epsilon=EPSILON)
    with pytest.raises(ModelError, match="8 wide, which 3 heads cannot be"):
        sentence_encoder(weights(), heads=3, epsilon=EPSILON)


@pytest.fixture
def pieces(tmp_path: Path) -> WordPieces:
    listed = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "un", "##aff", "##able", "naive", ",", "a", "$"]
    path = tmp_path / "vocab.txt"
    path.write_text("\n".join(listed) + "\n", encoding="utf-8")
    return WordPieces(path)


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("Unaffable", ["un", "##aff", "##able"]),
        ("naïve,\tNAÏVE", ["naive", ",", "naive"]),
        ("unknown a", ["[UNK]", "a"]),
        ("$a\u200b", ["$", "a"]),
        ("a" * 101, ["[UNK]"]),
        ("中a", ["[UNK]", "a"]),
        (" \n", []),
    ],
)
def test_words_are_cut_into_the_longest_pieces(
    pieces: WordPieces, sentence: str, expected: list[str]
) -> None:
    assert pieces.pieces(sentence) == expected


def test_a_batch_is_padded_and_cut(pieces: WordPieces) -> None:
    batch = pieces.batch(["a, a, a, a", "naive"], longest=5)
    assert batch["input_ids"].tolist() == [[2, 9, 8, 9, 3], [2, 7, 3, 0, 0]]
    assert batch["attention_mask"].tolist() == [[1] * 5, [1, 1, 1, 0, 0]]
    assert not batch["token_type_ids"].any()


def test_a_vocabulary_that_cannot_be_one(tmp_path: Path) -> None:
    path = tmp_path / "vocab.txt"
    with pytest.raises(DataError, match="cannot be read"):
        WordPieces(path)
    path.write_text("[PAD]\n[CLS]\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"has no \[SEP\], \[UNK\]"):
        WordPieces(path)
