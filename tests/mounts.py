"""A real file system of a few KiB, to fill up: only root may mount one."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(directory: Path, size: str = "256k", *, options: str = "") -> Iterator[Path]:
    """A tmpfs of `size` at `directory` for the length of the block; skips where that is refused."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a file system")
    directory.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}{options}", "none", str(directory)]
    if subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("this machine allows no mount")
    try:
        yield directory
    finally:
        subprocess.run(["umount", "--lazy", str(directory)], check=True)
