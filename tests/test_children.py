"""What the suite starts begins as if somebody had started it at a terminal."""

import subprocess
import sys

import pytest

from tests.product import ROOT

_ASK = "import signal; print(*(signal.getsignal(n) is signal.SIG_IGN for n in (1, 2)))"


@pytest.mark.parametrize("ignored", ["", "1", "2", "1 2"])
def test_signals_are_ignored_by_nobody_whoever_started_the_suite(ignored: str) -> None:
    inner = f"""
import subprocess, sys
from tests.signals import restore_defaults
restore_defaults()
print(subprocess.run([sys.executable, "-c", {_ASK!r}], stdout=subprocess.PIPE, text=True).stdout)
"""
    program = f"trap '' {ignored or '15'}; exec \"$@\""
    done = subprocess.run(
        ["sh", "-c", program, "sh", sys.executable, "-c", inner],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    assert done.stdout.split() == ["False", "False"]
