"""What a dual export in JSON holds: the machine now, since it was connected, and its last day.

A value that the machine does not report is null. Nothing is asked of the machine: all of it is
what the site knows already. `_mb` counts MiB, as nvidia-smi does, and `_gb` 10⁹ bytes.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson

from connections.models import Connection
from core.times import iso
from metrics.live.sessions import COUNTERS

MIB = 1024**2
GB = 10**9

Sample = Mapping[str, Any]
# Since connecting, as `metrics.live.store.session` tells it.
Session = Mapping[str, Any]


def document(
    connection: Connection,
    exported_at: datetime,
    recent: Sequence[Sample],
    session: Session | None,
    data_points: bytes,
) -> bytes:
    """The file. `recent` are the last samples, oldest first; `data_points` is a JSON list."""
    sample = recent[-1] if recent else None
    head = {
        "connection_id": str(connection.pk),
        "exported_at": iso(exported_at),
        "current_metrics": _current(sample, session),
        "gpus": list(sample["gpus"]) if sample else [],
        "session_metrics": _session(connection, exported_at, session),
        "history": list(recent),
    }
    return orjson.dumps(head)[:-1] + b',"database_history":' + data_points + b"}\n"


def _current(sample: Sample | None, session: Session | None) -> dict[str, Any]:
    gpu = _first_gpu(sample)
    disk = _named(sample, "disks", "mount", "/")
    interface = session["default"] if session else None
    network = _named(sample, "networks", "interface", interface)
    return {
        "gpu_name": gpu.get("name"),
        "gpu_utilization": gpu.get("utilization_percent"),
        "temperature_c": gpu.get("temperature_c"),
        "power_watts": gpu.get("power_watts"),
        "memory_used_mb": _in(MIB, gpu.get("memory_used_bytes")),
        "memory_total_mb": _in(MIB, gpu.get("memory_total_bytes")),
        "network_interface": interface,
        "rx_bytes": network.get("rx_bytes"),
        "tx_bytes": network.get("tx_bytes"),
        "storage_total_gb": _in(GB, disk.get("total_bytes")),
        "storage_used_gb": _in(GB, disk.get("used_bytes")),
    }


def _session(connection: Connection, now: datetime, session: Session | None) -> dict[str, Any]:
    """Since the machine was connected; the totals are those of the default route's interface."""
    start = datetime.fromisoformat(session["start_time"]) if session else connection.connected_at
    totals = session["networks"].get(session["default"], {}) if session else {}
    return {
        "start_time": iso(start),
        "duration_minutes": round((now - start).total_seconds() / 60, 2) if start else None,
    } | {f"total_{name}": totals.get(name) for name in COUNTERS}


def _first_gpu(sample: Sample | None) -> Mapping[str, Any]:
    return _named(sample, "gpus", "index", 0)


def _named(sample: Sample | None, part: str, key: str, value: object) -> Mapping[str, Any]:
    """The entry of a list in the sample that bears this name; empty if there is none."""
    entries = sample[part] if sample else ()
    return next((entry for entry in entries if entry[key] == value), {})


def _in(unit: int, value: float | None) -> float | None:
    return None if value is None else round(value / unit, 3)
