"""The keeper: which process holds which machine, and what it does to keep it connected."""
