"""Fixtures of the collectors' tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.collectors.machine import Machine, make_machine


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """A machine under dash; whatever the test leaves running is killed."""
    made = make_machine(tmp_path)
    yield made
    made.end()


@pytest.fixture(params=["dash", "bash", "busybox"])
def any_machine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Machine]:
    """The same under each shell that the program is written for."""
    made = make_machine(tmp_path, request.param)
    yield made
    made.end()
