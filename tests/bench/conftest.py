"""A directory of one's own that is short enough for sockets."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def short_directory() -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(prefix="bench-"))
    yield directory
    shutil.rmtree(directory, ignore_errors=True)
