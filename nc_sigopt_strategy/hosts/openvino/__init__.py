"""OpenVINO as a host: models quantized by NNCF, run by OpenVINO's CPU device."""
