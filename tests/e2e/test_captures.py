"""What a machine reports is what the API answers: every whole capture behind a real sshd."""

import os
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from accounts.models import Role
from connections.keeper.keeper import Keeper
from connections.models import Connection
from metrics.live import store as live_store
from tests import sshd
from tests.collectors import expected
from tests.collectors.machine import CAPTURES, make_machine
from tests.collectors.test_end_to_end import CSV, XML
from tests.factories import join, make_connection, make_team, make_token, make_user
from tests.waiting import until

pytestmark = pytest.mark.django_db(transaction=True)


def watch(server: sshd.Sshd, **fields: Any) -> Connection:
    row = make_connection(
        hostname="127.0.0.1",
        port=server.port,
        username=server.user,
        host_key=server.host_key_fingerprint,
        is_active=True,
        **fields,
    )
    row.set_secret("private_key", server.client_key)
    row.save()
    return row


def is_whole(sample: dict[str, Any] | None) -> bool:
    return bool(sample and sample["gpus"] and len(sample["health"]) == 7)


@pytest.mark.parametrize("capture", [*XML, *CSV], ids=str)
def test_answers_what_the_capture_says(site: Keeper, tmp_path: Path, capture: Path) -> None:
    tools = make_machine(tmp_path)
    tools.play(str(capture))
    path = f"{tools.bin}:{os.environ['PATH']}"
    server = sshd.start(tmp_path / "sshd", environment={"PATH": path})
    try:
        team, user = make_team(), make_user()
        join(user, team, Role.VIEWER)
        row = watch(server, team=team)
        site.wake()
        until(lambda: is_whole(live_store.latest(row.pk)), seconds=40)
        headers = {"Authorization": f"Bearer {make_token(user, 'read')}"}
        answer = Client(headers=headers).get(f"/api/v1/connections/{row.pk}/metrics").json()
    finally:
        server.stop()
    read = expected.from_xml if capture.suffix == ".xml" else expected.from_csv
    shown = [{name: gpu[name] for name in gpu if name != "mig"} for gpu in answer["gpus"]]
    assert shown == read(CAPTURES / capture)
    assert answer["connection_id"] == str(row.pk)
    assert answer["memory"]["total_bytes"] == memory_total()
    assert server.log.count("Accepted publickey") == 1


def memory_total() -> int:
    """This machine's, which is the one behind the sshd."""
    line = Path("/proc/meminfo").read_text().splitlines()[0]
    return int(line.split()[1]) * 1024
