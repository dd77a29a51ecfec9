"""AMD GPUs: what rocm-smi and amd-smi print."""
