"""ONNX Runtime as a host of its own, without Neural Compressor."""
