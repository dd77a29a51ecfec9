"""NVIDIA GPUs: what nvidia-smi prints and what NVML answers."""
