"""The real program under real shells, with a fake nvidia-smi that plays whole captures."""

from pathlib import Path

import pytest

from tests.collectors import expected
from tests.collectors.machine import (
    CAPTURES,
    gpu_values,
    health,
    is_complete,
    make_machine,
)

XML = sorted(path.relative_to(CAPTURES) for path in CAPTURES.glob("nvidia-smi-xml/*.xml"))
CSV = sorted(
    path.relative_to(CAPTURES)
    for pattern in ("*query-gpu-all*.csv", "*full.csv")
    for path in CAPTURES.glob(f"nvidia-smi-csv/{pattern}")
)
SHELLS = ("dash", "bash", "busybox")
# Every capture under one shell, spread over the three; three captures under all of them.
SPREAD = [(path, SHELLS[at % 3]) for at, path in enumerate([*XML, *CSV])]


@pytest.mark.parametrize(("capture", "shell"), SPREAD, ids=str)
def test_reports_every_gpu_as_the_capture_says(tmp_path: Path, capture: Path, shell: str) -> None:
    machine = make_machine(tmp_path, shell)
    machine.play(str(capture))
    try:
        machine.start()
        sample = machine.until(lambda sample: bool(sample.gpus) and is_complete(sample))
    finally:
        machine.end()
    read = expected.from_xml if capture.suffix == ".xml" else expected.from_csv
    assert [gpu_values(gpu) for gpu in sample.gpus] == read(CAPTURES / capture)
    assert health(sample, "nvidia_smi").ok
    assert machine.collector.dropped == 0
    assert machine.collector.refusals.count == 0
