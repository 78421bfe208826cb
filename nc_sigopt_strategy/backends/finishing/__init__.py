"""Rewrites of a quantized TensorFlow graph that leave what it computes and make it cheaper."""
