"""A typed client, generated from `openapi.json`, lives on a running site.

One operation of each kind: one object, a list, columns of the history, a POST that makes something,
a PATCH, a DELETE, and refusals whose problem is typed.
"""

import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
import pytest
import redis
from pytest_django.live_server_helper import LiveServer

from accounts.models import Role, Scope
from connections.models import Connection
from dgxsite.api import api
from metrics.history import tiers
from tests.factories import join, make_connection, make_team, make_token, make_user
from tests.metrics.machines import make_sample
from tests.metrics.stored import ends, machine_of, steady, store

_PACKAGE = "generated_dgxsite_client"
# Without ruff over the result, which only makes it pretty.
_CONFIG: dict[str, Any] = {"post_hooks": []}


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The package, importable; a warning of the generator is a part that a client would miss."""
    folder = tmp_path_factory.mktemp("client")
    document, config = folder / "openapi.json", folder / "config.json"
    document.write_text(json.dumps(api.get_openapi_schema()), encoding="utf-8")
    config.write_text(json.dumps(_CONFIG), encoding="utf-8")
    argv = [sys.executable, "-m", "openapi_python_client", "generate", "--fail-on-warning"]
    argv += ["--path", str(document), "--config", str(config), "--meta", "none"]
    argv += ["--output-path", str(folder / _PACKAGE)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    sys.path.insert(0, str(folder))
    yield folder / _PACKAGE
    sys.path.remove(str(folder))
    for name in [name for name in sys.modules if name.split(".")[0] == _PACKAGE]:
        del sys.modules[name]


class Generated:
    """The client of one person: `call("jobs", "list_jobs", …)` is the typed answer."""

    def __init__(self, url: str, token: str) -> None:
        self.models = importlib.import_module(f"{_PACKAGE}.models")
        self._url, self._token = url, token

    def call(self, tag: str, operation: str, *arguments: Any, **options: Any) -> Any:
        return self.ask(tag, operation, *arguments, **options).parsed

    def ask(self, tag: str, operation: str, *arguments: Any, **options: Any) -> Any:
        """With status and headers."""
        made = importlib.import_module(f"{_PACKAGE}.client").AuthenticatedClient
        module = importlib.import_module(f"{_PACKAGE}.api.{tag}.{operation}")
        with made(base_url=self._url, token=self._token) as client:
            return module.sync_detailed(*arguments, client=client, **options)


@pytest.fixture
def machine(transactional_db: None) -> Connection:
    return make_connection(make_team("vision"), name="spark-1")


@pytest.fixture
def of(generated: Path, live_server: LiveServer, machine: Connection) -> Any:
    """The client of a new person with this role in the machine's team."""

    def make(role: Role, scope: Scope = Scope.ADMIN) -> Generated:
        user = make_user()
        join(user, machine.team, role)
        return Generated(live_server.url, make_token(user, scope))

    return make


def test_every_operation_and_model_is_generated(generated: Path) -> None:
    paths = api.get_openapi_schema()["paths"].values()
    ids = {operation["operationId"] for methods in paths for operation in methods.values()}
    modules = [path for path in generated.glob("api/*/*.py") if path.stem != "__init__"]
    assert {path.stem for path in modules} == ids
    for path in [*modules, *generated.glob("models/*.py")]:
        module = importlib.import_module(
            ".".join([_PACKAGE, *path.relative_to(generated).with_suffix("").parts])
        )
        assert path.parent.name == "models" or hasattr(module, "sync"), path.stem


def test_one_object_is_typed(of: Any, machine: Connection) -> None:
    viewer = of(Role.VIEWER)
    found = viewer.call("connections", "get_connection", machine.pk)
    assert isinstance(found, viewer.models.ConnectionOut)
    assert (found.id, found.name) == (machine.pk, "spark-1")
    assert found.status is viewer.models.ConnectionStatus.DISCONNECTED
    assert found.created_at == machine.created_at.replace(
        microsecond=machine.created_at.microsecond // 1000 * 1000
    )


def test_a_list_is_typed(of: Any, machine: Connection) -> None:
    viewer = of(Role.VIEWER)
    found = viewer.call("connections", "list_connections", limit=10)
    assert isinstance(found, viewer.models.ConnectionList)
    assert (found.count, [one.id for one in found.items]) == (1, [machine.pk])


def test_a_sample_is_typed(of: Any, machine: Connection, redis_client: redis.Redis) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    sample = {"connection_id": str(machine.pk), **make_sample(now, gpus=2).as_dict(), "seq": 7}
    redis_client.set(f"dgx:last:{machine.pk}", orjson.dumps(sample))
    viewer = of(Role.VIEWER)
    found = viewer.call("metrics", "get_latest_sample", machine.pk)
    assert (found.seq, found.recorded_at) == (7, now)
    assert [gpu.memory_kind for gpu in found.gpus] == [viewer.models.MemoryKind.DEDICATED] * 2
    assert found.to_dict() == sample | {"recorded_at": now.isoformat()}


def test_columns_of_the_history_are_typed(of: Any, machine: Connection) -> None:
    start = tiers.RAW.start_of(datetime.now(UTC)) - timedelta(hours=1)
    store(machine_of(machine), [steady(at, 12.5) for at in ends(start, 180)])
    viewer = of(Role.VIEWER)
    hour = viewer.models.HistoryRange.VALUE_0
    found = viewer.call(
        "metrics", "get_metrics_history", machine.pk, range_=hour, metrics="cpu_percent"
    )
    assert found.tier is viewer.models.Tier.RAW
    assert len(found.series.timestamp) == len(found.series.cpu_percent.avg) == 180
    assert set(found.series.cpu_percent.max_) == {12.5}
    assert not found.series.gpu_percent  # was not asked for
    assert found.series.timestamp[0].tzinfo is not None


def test_what_a_post_makes_is_changed_by_a_patch_and_goes_by_a_delete(of: Any) -> None:
    operator = of(Role.OPERATOR)
    models = operator.models
    body = models.RuleIn(
        name="GPU too hot",
        metric=models.Metric.GPU_TEMPERATURE_C,
        comparison=models.Comparison.AT_LEAST,
        threshold=85.0,
        for_seconds=60,
    )
    made = operator.call("alerts", "create_alert_rule", body=body, idempotency_key="once")
    assert isinstance(made, models.RuleOut)
    again = operator.call("alerts", "create_alert_rule", body=body, idempotency_key="once")
    assert again.id == made.id

    changed = operator.call(
        "alerts", "change_alert_rule", made.id, body=models.RulePatch(threshold=90.0)
    )
    # What was not sent stays as it is.
    assert changed.to_dict() | {"threshold": 85.0, "updated_at": ""} == made.to_dict() | {
        "updated_at": ""
    }
    assert changed.comparison is models.Comparison.AT_LEAST

    assert operator.ask("alerts", "delete_alert_rule", made.id).status_code == 204
    gone = operator.call("alerts", "get_alert_rule", made.id)
    assert (gone.status, gone.code) == (404, models.ProblemCode.NOT_FOUND)


def test_a_refusal_is_a_typed_problem(of: Any, machine: Connection) -> None:
    viewer = of(Role.VIEWER)
    models = viewer.models
    refused = viewer.call("connections", "connect_connection", machine.pk)
    assert isinstance(refused, models.Problem)
    assert (refused.status, refused.code) == (403, models.ProblemCode.FORBIDDEN)
    unknown = viewer.call("connections", "get_connection", uuid4())
    assert (unknown.status, unknown.code) == (404, models.ProblemCode.NOT_FOUND)
    none_yet = viewer.call("metrics", "get_latest_sample", machine.pk)
    assert none_yet.code is models.ProblemCode.NO_SAMPLE

    operator = of(Role.OPERATOR)
    wrong = operator.call(
        "exports",
        "create_export",
        machine.pk,
        body=models.ExportIn(kind=models.ExportKind.RANGE, format_=models.ExportFormat.CSV),
    )
    assert (wrong.status, wrong.code) == (422, models.ProblemCode.INVALID)
    assert [field.field for field in wrong.errors] == ["range"]


def test_nobody_is_refused_with_a_typed_problem(
    generated: Path, live_server: LiveServer, machine: Connection
) -> None:
    nobody = Generated(live_server.url, "dgx_" + "x" * 43)
    refused = nobody.call("jobs", "list_jobs")
    assert refused.code is nobody.models.ProblemCode.UNAUTHORIZED
