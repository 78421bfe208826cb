"""A BERT encoder of sentences as an ONNX model, from its weights.

J. Devlin et al., "BERT", NAACL 2019; what makes sentence embeddings of it is the mean over the
tokens, scaled to length 1 (N. Reimers, I. Gurevych, "Sentence-BERT", EMNLP 2019). Written as
exporters of PyTorch write it, op for op, so that a runtime's fusions find what they look for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from nc_sigopt_benchmarks.models.onnx_building import GraphWriter
from nc_sigopt_strategy.errors import ModelError

Array = npt.NDArray[Any]

INPUTS, OUTPUT = ("input_ids", "attention_mask", "token_type_ids"), "sentence_embedding"
_OPSET = 17
_MASKED = float(np.finfo(np.float32).min)
_SHORTEST = 1e-12


def sentence_encoder(weights: Mapping[str, Array], *, heads: int, epsilon: float) -> Any:
    """The ``ModelProto``: token numbers (batch, tokens) in, embeddings (batch, width) out.

    Args:
        weights: As Hugging Face's ``BertModel`` names them.
        heads: Attention heads of each layer.
        epsilon: Of the layer normalizations.

    Raises:
        ModelError: Weights are missing, or are those of another network.
    """
    return _EncoderWriter(weights, heads, epsilon).written()


class _EncoderWriter:
    def __init__(self, weights: Mapping[str, Array], heads: int, epsilon: float) -> None:
        self._weights, self._heads, self._epsilon = weights, heads, epsilon
        self._graph = GraphWriter("sentence_encoder", _OPSET)
        self._width = self._of("embeddings.word_embeddings.weight").shape[1]
        if self._width % heads:
            raise ModelError(f"The weights are {self._width} wide, which {heads} heads cannot be.")

    def written(self) -> Any:
        layers = {
            int(name.split(".")[2]) for name in self._weights if name.startswith("encoder.layer.")
        }
        mask = self._mask()
        value = self._embedded()
        for layer in sorted(layers):
            value = self._layer(value, mask, f"encoder.layer.{layer}.")
        shape = ("batch", "tokens")
        return self._graph.model(
            dict.fromkeys(INPUTS, (np.int64, shape)),
            self._pooled(value),
            (OUTPUT, ("batch", self._width)),
        )

    def _embedded(self) -> str:
        add, places = self._graph.add, "embeddings.position_embeddings"
        words, kinds = (
            add("Gather", [self._weight(f"embeddings.{table}.weight"), ids], f"embeddings.{table}")
            for table, ids in (
                ("word_embeddings", INPUTS[0]),
                ("token_type_embeddings", INPUTS[2]),
            )
        )
        extents = add("Shape", [INPUTS[0]], "extents")
        tokens = add("Slice", [extents, *self._integers(one=[1], two=[2])], "tokens")
        start, zero = self._integers(start=[0], zero=[0])
        used = add("Slice", [self._weight(f"{places}.weight"), start, tokens, zero], places)
        value = add("Add", [add("Add", [words, kinds], "embeddings.add"), used], "embeddings.sum")
        return self._normalized(value, "embeddings.LayerNorm")

    def _mask(self) -> str:
        """0 for a token, as little as there is for padding; (batch, 1, 1, tokens)."""
        axes = self._integers(mask_axes=[1, 2])
        wide = self._graph.add("Unsqueeze", [INPUTS[1], *axes], "mask.unsqueeze")
        kept = self._graph.add("Cast", [wide], "mask.cast", to=1)
        one, masked = (
            self._graph.constant("mask.one", 1.0),
            self._graph.constant("masked", _MASKED),
        )
        left_out = self._graph.add("Sub", [one, kept], "mask.sub")
        return self._graph.add("Mul", [left_out, masked], "mask.mul")

    def _layer(self, value: str, mask: str, prefix: str) -> str:
        add, attention = self._graph.add, f"{prefix}attention."
        queries, keys, values = (
            self._in_heads(value, f"{attention}self.{part}", swap=part == "key")
            for part in ("query", "key", "value")
        )
        likeness = add("MatMul", [queries, keys], f"{attention}scores")
        root = self._graph.constant("root", (self._width // self._heads) ** 0.5)
        scaled = add("Div", [likeness, root], f"{attention}scale")
        masked = add("Add", [scaled, mask], f"{attention}mask")
        shares = add("Softmax", [masked], f"{attention}softmax", axis=-1)
        mixed = add("MatMul", [shares, values], f"{attention}context")
        mixed = add("Transpose", [mixed], f"{attention}transpose", perm=[0, 2, 1, 3])
        flat = self._integers(flat=[0, 0, self._width])
        mixed = add("Reshape", [mixed, *flat], f"{attention}reshape")
        found = self._linear(mixed, f"{attention}output.dense")
        value = add("Add", [found, value], f"{attention}output.add")
        value = self._normalized(value, f"{attention}output.LayerNorm")
        inner = self._gelu(self._linear(value, f"{prefix}intermediate.dense"), prefix)
        found = self._linear(inner, f"{prefix}output.dense")
        value = add("Add", [found, value], f"{prefix}output.add")
        return self._normalized(value, f"{prefix}output.LayerNorm")

    def _in_heads(self, value: str, name: str, *, swap: bool) -> str:
        """(batch, heads, tokens, part), or with the last two swapped."""
        parts = self._integers(parts=[0, 0, self._heads, self._width // self._heads])
        split = self._graph.add("Reshape", [self._linear(value, name), *parts], f"{name}.heads")
        order = [0, 2, 3, 1] if swap else [0, 2, 1, 3]
        return self._graph.add("Transpose", [split], f"{name}.transpose", perm=order)

    def _linear(self, value: str, name: str) -> str:
        weight = self._graph.constant(f"{name}.weight", self._of(f"{name}.weight").T)
        product = self._graph.add("MatMul", [value, weight], f"{name}.matmul")
        return self._graph.add("Add", [self._weight(f"{name}.bias"), product], f"{name}.add")

    def _gelu(self, value: str, prefix: str) -> str:
        """x (1 + erf(x / sqrt 2)) / 2, in the ops that PyTorch's exporter writes."""
        add, constant, name = self._graph.add, self._graph.constant, f"{prefix}gelu."
        scaled = add("Div", [value, constant("root_of_two", 2.0**0.5)], f"{name}div")
        error = add("Erf", [scaled], f"{name}erf")
        raised = add("Add", [error, constant("one", 1.0)], f"{name}add")
        product = add("Mul", [value, raised], f"{name}mul")
        return add("Mul", [product, constant("half", 0.5)], f"{name}half")

    def _normalized(self, value: str, name: str) -> str:
        parts = [self._weight(f"{name}.weight"), self._weight(f"{name}.bias")]
        return self._graph.add(
            "LayerNormalization", [value, *parts], name, axis=-1, epsilon=self._epsilon
        )

    def _pooled(self, value: str) -> str:
        """The mean over the tokens that are none of padding, scaled to length 1."""
        add, constant = self._graph.add, self._graph.constant
        last, first = self._integers(last=[2], first=[1])
        wide = add("Unsqueeze", [INPUTS[1], last], "pool.unsqueeze")
        kept = add("Cast", [wide], "pool.cast", to=1)
        total = add(
            "ReduceSum", [add("Mul", [value, kept], "pool.mul"), first], "pool.sum", keepdims=0
        )
        count = add("ReduceSum", [kept, first], "pool.count", keepdims=0)
        mean = add("Div", [total, count], "pool.mean")
        length = add("ReduceL2", [mean], "pool.length", axes=[1], keepdims=1)
        safe = add("Clip", [length, constant("shortest", _SHORTEST)], "pool.clip")
        return add("Div", [mean, safe], "pool.normalize")

    def _integers(self, **values: list[int]) -> list[str]:
        return [self._graph.constant(f"integers.{k}", v, np.int64) for k, v in values.items()]

    def _weight(self, name: str) -> str:
        return self._graph.constant(name, self._of(name))

    def _of(self, name: str) -> Array:
        if name not in self._weights:
            raise ModelError(f"The weights have no {name}.", "Give those of a BERT encoder.")
        return self._weights[name]
