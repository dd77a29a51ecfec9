"""Programs that the tests use but that pip cannot install."""

import os
import shutil

import pytest


def require_program(name: str, *, path: str | None = None) -> str:
    """The program's path. Missing: the test skips and names it; under CI it fails instead."""
    found = shutil.which(name, path=path)
    if found is not None:
        return found
    message = f"the program {name!r} is not installed"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)
