"""Programs that stand on the PATH of a simulated machine; they read its state files, nothing else.

They start every few seconds on a busy machine, so they import as little as possible.
"""
