"""Prometheus text: its grammar, its names, and what is left out."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from connections.models import Connection
from metrics.collectors.readings import Disk, Network
from metrics.prometheus import exposition
from tests.factories import join, make_connection, make_team, make_token, make_user
from tests.metrics.machines import make_gpu, make_sample

ADDRESS = "/api/v1/prometheus"
DASHBOARD = Path(__file__).resolve().parents[2] / "docs" / "grafana-dashboard.json"

# A metric's name, its labels, its value: the grammar of the exposition format.
_SAMPLE = re.compile(r'([a-z_]+)\{((?:[a-z_]+="(?:[^"\\\n]|\\[\\n"])*",?)*)\} (\S+)')
_LABEL = re.compile(r'([a-z_]+)="((?:[^"\\\n]|\\[\\n"])*)"')
_UNESCAPED = {"\\\\": "\\", "\\n": "\n", '\\"': '"'}


def parsed(text: str) -> dict[str, list[tuple[dict[str, str], float]]]:
    """By name: labels and value; fails on a line that is no exposition text or comes twice."""
    assert text.endswith("\n")
    found: dict[str, list[tuple[dict[str, str], float]]] = {}
    for line in text.splitlines():
        if line.startswith("#"):
            kind, name = line.split()[1:3]
            assert kind in ("HELP", "TYPE")
            assert kind != "TYPE" or name not in found
            continue
        match = _SAMPLE.fullmatch(line)
        assert match, line
        labels = {
            name: re.sub(r"\\.", lambda one: _UNESCAPED[one.group()], value)
            for name, value in _LABEL.findall(match[2])
        }
        assert labels not in [one for one, _ in found.get(match[1], [])], line
        found.setdefault(match[1], []).append((labels, float(match[3])))
    return found


def machine(name: str = "spark", status: str = "connected", **fields: Any) -> Connection:
    return Connection(name=name, status=status, **fields)


def sample(**fields: Any) -> dict[str, Any]:
    return replace(make_sample(), **fields).as_dict()


def test_every_value_of_a_sample_with_its_labels():
    row = machine()
    found = parsed(exposition.text([(row, sample(gpus=tuple(map(make_gpu, range(2)))))]))
    own = {"connection": "spark", "connection_id": str(row.pk)}
    assert found["dgx_up"] == [(own, 1.0)]
    assert found["dgx_gpu_power_watts"] == [
        (own | {"gpu": "0", "uuid": "GPU-0"}, 300.0),
        (own | {"gpu": "1", "uuid": "GPU-1"}, 300.0),
    ]
    assert found["dgx_gpu_memory_total_bytes"][0][1] == 80 * 2**30
    assert found["dgx_disk_used_bytes"] == [(own | {"mount": "/"}, 250.0)]
    assert found["dgx_network_receive_bytes_total"] == [(own | {"interface": "eth0"}, 10.0)]
    assert found["dgx_network_transmit_bytes_total"] == [(own | {"interface": "eth0"}, 20.0)]
    assert found["dgx_cpu_utilization_percent"] == [(own, 25.0)]
    assert found["dgx_memory_used_bytes"] == [(own, 40.0)]
    assert set(found) == {exposition.UP} | {metric.name for metric in exposition.METRICS}


def test_help_and_type_stand_before_every_metric():
    lines = exposition.text([]).splitlines()
    assert len(lines) == 2 * (1 + len(exposition.METRICS))
    for words, kind in zip(lines[::2], lines[1::2], strict=True):
        assert words.startswith("# HELP dgx_")
        name = words.split()[2]
        assert kind == f"# TYPE {name} {'counter' if name.endswith('_total') else 'gauge'}"


def test_what_is_not_reported_is_left_out_and_zero_is_zero():
    gpu = make_gpu(utilization_percent=0.0, power_watts=None, uuid=None)
    found = parsed(exposition.text([(machine(), sample(gpus=(gpu,)))]))
    assert "dgx_gpu_power_watts" not in found
    [(labels, value)] = found["dgx_gpu_utilization_percent"]
    assert value == 0.0
    assert "uuid" not in labels


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ("disconnected", None),
        ("error", "unreachable"),
        ("connecting", None),
        ("connected", "stale"),
    ],
)
def test_of_a_machine_that_is_not_there_only_that_is_told(status, reason):
    found = parsed(exposition.text([(machine(status=status, reason=reason), sample())]))
    assert {name: [value for _, value in rows] for name, rows in found.items()} == {"dgx_up": [0.0]}


def test_connected_and_never_read_is_not_up():
    assert parsed(exposition.text([(machine(), None)]))["dgx_up"][0][1] == 0.0


@pytest.mark.parametrize("name", ['a"b', "a\\b", "a\\", 'x"} 1\ndgx_up{y="', "日本", "a\nb"])
def test_no_name_breaks_out_of_its_quotes(name):
    text = exposition.text([(machine(name), sample(disks=(Disk(name, 2, 1),)))])
    found = parsed(text)
    assert found["dgx_up"][0][0]["connection"] == name
    assert found["dgx_disk_used_bytes"][0][0]["mount"] == name


def test_what_a_machine_says_twice_is_told_once():
    twice = sample(
        disks=(Disk("/", 100, 1), Disk("/", 200, 2)),
        networks=(Network("eth0", rx_bytes=1), Network("eth0", rx_bytes=2)),
    )
    found = parsed(exposition.text([(machine(), twice)]))
    assert [value for _, value in found["dgx_disk_total_bytes"]] == [100.0]
    assert [value for _, value in found["dgx_network_receive_bytes_total"]] == [1.0]


# --- Over the API -------------------------------------------------------------------------------


@pytest.fixture
def team(db):
    return make_team()


@pytest.fixture
def scrape(team, client, redis_client):
    """What a member of the team with a token for reading gets."""
    user = make_user()
    join(user, team)
    headers = {"Authorization": f"Bearer {make_token(user, 'read')}"}

    def get():
        answer = client.get(ADDRESS, headers=headers)
        assert answer.status_code == 200
        assert answer["Content-Type"] == exposition.CONTENT_TYPE
        return parsed(answer.content.decode())

    return get


def test_a_scraper_sees_the_machines_of_its_team_only(team, scrape, redis_client):
    mine = make_connection(team, name="mine", status="connected")
    off = make_connection(team, name="off")
    other = make_connection(name="other", status="connected")
    for row in (mine, off, other):
        redis_client.set(f"dgx:last:{row.pk}", json.dumps(sample()))
    found = scrape()
    assert [(labels["connection"], value) for labels, value in found["dgx_up"]] == [
        ("mine", 1.0),
        ("off", 0.0),
    ]
    assert len(found["dgx_cpu_utilization_percent"]) == 1


def test_a_fleet_takes_as_many_queries_as_one(team, scrape, django_assert_max_num_queries):
    for _ in range(30):
        make_connection(team)
    with django_assert_max_num_queries(6):
        scrape()


def test_without_a_token_it_is_401(client, db):
    assert client.get(ADDRESS).status_code == 401


# --- The dashboard ------------------------------------------------------------------------------


def test_the_dashboard_asks_for_metrics_that_there_are():
    dashboard = json.loads(DASHBOARD.read_text("utf-8"))
    queries = [
        target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])
    ]
    queries += [
        one["query"]["query"]
        for one in dashboard["templating"]["list"]
        if "query" in one and isinstance(one["query"], dict)
    ]
    asked = set(re.findall(r"\bdgx_[a-z_]+", " ".join(queries)))
    assert asked == {exposition.UP} | {metric.name for metric in exposition.METRICS}


def test_the_dashboard_shows_every_panel_in_its_place():
    panels = json.loads(DASHBOARD.read_text("utf-8"))["panels"]
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels]
    assert len(set(places)) == len(places)
    assert all(panel["title"] and panel["datasource"] for panel in panels)
