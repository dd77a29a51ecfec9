"""Thousands of calls as viewer, operator, administrator and superuser: no 5xx, no traceback.

`make test` sends 2,400, `make chaos` 100,000, for which alone:

    make chaos PYTEST_ARGS=tests/fuzz

`DGX_FUZZ_CALLS=` says another number. The seed is printed; `SEED=` of `make chaos` repeats it.
"""

import logging
import os
import random

import pytest

from tests.access.cast import Cast, make_cast
from tests.faults import CHAOS
from tests.fuzz import calls

CALLS = int(os.environ.get("DGX_FUZZ_CALLS", "100000" if CHAOS else "2400"))
PARTS = 4

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(7200 if CHAOS else 900)]


@pytest.fixture
def cast(db: None) -> Cast:
    return make_cast()


@pytest.mark.parametrize("part", range(PARTS))
def test_no_call_meets_a_fault(cast: Cast, part: int, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    number = random.getrandbits(32)
    tally = calls.Tally()
    calls.play(cast, calls.operations(cast)[part::PARTS], CALLS // PARTS, number, tally)
    print(f"\npart {part}: {tally.calls} calls, seed {number}, {dict(tally.statuses)}")
    print(f"slowest {tally.slowest:.2f} s")
    assert tally.calls >= CALLS // PARTS
    assert not tally.faults, "\n".join(dict.fromkeys(tally.faults[:30]))
