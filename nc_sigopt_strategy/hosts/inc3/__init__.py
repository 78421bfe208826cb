"""Neural Compressor from 3.8 on as a host: TensorFlow graphs by its ``quantize_model``."""
