"""PyTorch as a host: modules quantized by PT2E, run as ``torch.compile`` makes them."""
