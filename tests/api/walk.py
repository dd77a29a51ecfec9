"""Each operation of the API called with what is there, and what was sent and answered as examples.

`dgxsite/openapi_examples.json` holds one example for each schema, from these calls:
`DGX_WRITE_EXAMPLES=1 make test PYTEST_ARGS=tests/api/test_openapi.py` writes it anew.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import redis
from django.conf import settings

from connections.models import Connection, ConnectionEvent
from jobs.models import GpuWish, JobChange
from metrics.history import tiers
from projects.models import Project
from tests.access.bodies import BODIES
from tests.access.cast import Cast
from tests.metrics.machines import make_sample
from tests.metrics.stored import ends, machine_of, steady, store
from tests.undone import close_unread, undone

_ANSWERS_IN_ORDER = ("get", "post", "patch", "delete")
_QUERIES: dict[str, dict[str, Any]] = {
    "get_metrics_history": {"range": "1h", "max_points": 3, "gpu": 0},
    "compare_machines": {"connections": "<connection_id>", "ranges": "1h", "max_points": 3},
    "compare_jobs": {"job": "<job_id>"},
    "search_job_log": {"q": "loss"},
    "get_job_metrics": {"max_points": 3},
}
_HOST = "192.0.2.10"  # of the block for documents
_MACHINE = {
    "name": "spark-2",
    "hostname": _HOST,
    "username": "ml",
    "auth_method": "password",
    "password": "an-example-of-a-password",
    "auto_connect": False,
    "tags": ["lab"],
}
_RULE = {
    "name": "GPU too hot",
    "metric": "gpu_temperature_c",
    "comparison": ">",
    "threshold": 85.0,
    "for_seconds": 300,
    "and": {"metric": "gpu_percent", "comparison": ">=", "threshold": 50.0},
}
_BODIES = BODIES | {
    "POST api/v1/connections": _MACHINE,
    "POST api/v1/connections/test": _MACHINE,
    "PATCH api/v1/connections/<connection_id>": {
        "auth_method": "password",
        "password": "an-example-of-a-password",
    },
    "POST api/v1/notification-channels": {
        "name": "operations",
        "kind": "webhook",
        "url": f"https://{_HOST}/dgx",
    },
    "PATCH api/v1/notification-channels/<channel_id>": {"events": ["alert_firing", "job_failed"]},
    "POST api/v1/alert-rules": _RULE,
    "POST api/v1/alert-rules/preview": _RULE,
    "PATCH api/v1/alert-rules/<rule_id>": {"threshold": 90.0},
    "POST api/v1/projects": {
        "connection_id": "<connection_id>",
        "name": "bert-finetune",
        "remote_path": "~/projects/bert-finetune",
    },
    "POST api/v1/jobs": {
        "project_id": "<project_id>",
        "name": "lr-3e-5",
        "command": "python train.py --lr 3e-5",
        "gpus": 1,
    },
}
# What differs from machine to machine, or looks like a secret, as it stands in the examples.
_MASKS = (
    (re.compile(r"dgx_[A-Za-z0-9_-]{20,}"), "dgx_" + "x" * 43),
    (re.compile(r'("secret": ")[^"•]+'), r"\1an-example-of-a-secret"),
    (re.compile(r"(http://)127\.0\.0\.1:9"), r"\1hooks.example.org"),
    (re.compile(r"(http://testserver/join/)[^\"]+"), r"\1an-example-of-a-link"),
    (re.compile("http://testserver"), "https://dgx.example.org"),
)


@dataclass(frozen=True, slots=True)
class Call:
    """One operation, what was sent, and what it was answered."""

    path: str
    method: str
    operation: dict[str, Any]
    sent: Any
    answer: Any

    @property
    def label(self) -> str:
        return f"{self.operation['operationId']}: {self.answer.status_code}"


def furnish(cast: Cast, client: redis.Redis) -> None:
    """Readings, changes and a wish, so that no list of the walk is empty."""
    values, now = cast.values, datetime.now(UTC)
    machine = values["connection_id"]
    sample = {"connection_id": str(machine), **make_sample(now).as_dict(), "seq": 1}
    client.set(f"dgx:last:{machine}", orjson.dumps(sample))
    client.lpush(f"dgx:recent:{machine}", orjson.dumps(sample))
    Connection.objects.filter(pk=machine).update(name="spark-1", hostname=_HOST, port=22)
    Project.objects.filter(pk=values["project_id"]).update(name="bert")
    row = Connection.objects.get(pk=machine)
    windows = [steady(at, 12.5) for at in ends(tiers.RAW.start_of(now) - timedelta(hours=1), 180)]
    store(machine_of(row), windows)
    ConnectionEvent.objects.create(
        connection=row, from_status="connecting", to_status="connected", actor="keeper"
    )
    JobChange.objects.create(job_id=values["job_id"], to_status="queued", who="operator")
    GpuWish.objects.create(user=cast.users["superuser"], connection=row, gpu=0)


def calls(cast: Cast, schema: Any, actor: str, *, bodies: Any = None) -> Iterator[Call]:
    """Each operation once; what it does is undone.

    With `bodies`, only those that take a body, which is this one in place of a right one.
    """
    operations = [
        (path, method, operation)
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
    ]
    operations.sort(key=lambda one: _ANSWERS_IN_ORDER.index(one[1]))
    for path, method, operation in operations:
        sent = None
        if bodies is not None and "requestBody" not in operation:
            continue
        if "requestBody" in operation:
            route = path.removeprefix("/").replace("{", "<").replace("}", ">")
            right = _filled(_BODIES[f"{method.upper()} {route}"], cast.values)
            sent = right if bodies is None else bodies
        _forget_limits()
        with undone():
            answer: Any = cast.api[actor].generic(
                method.upper(),
                _address(path, cast.values),
                b"" if sent is None else orjson.dumps(sent),
                "application/json",
                query_params=_filled(_QUERIES.get(operation["operationId"], {}), cast.values),
            )
            answer.body = b"" if answer.streaming else answer.content
            close_unread(answer)
        yield Call(path, method, operation, sent, answer)


def _forget_limits() -> None:
    """All of the cache, which lies beside the samples."""
    client = redis.Redis.from_url(settings.REDIS_SAMPLES_URL)
    for key in client.scan_iter():
        if not key.startswith(b"dgx:"):
            client.delete(key)
    client.close()


def _address(path: str, values: dict[str, Any]) -> str:
    deleted = "deleted " if path.endswith("/restore") else ""
    return re.sub(r"\{(\w+)\}", lambda match: str(values[deleted + match[1]]), path)


def _filled(fields: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    return {
        name: str(values[value[1:-1]]) if str(value)[:1] == "<" else value
        for name, value in fields.items()
    }


def examples(made: list[Call]) -> dict[str, Any]:
    """One for each schema that was sent or answered; of lists, one that is not empty."""
    found: dict[str, Any] = {}
    for call in made:
        if not 200 <= call.answer.status_code < 300:
            continue
        if call.sent is not None:
            found.setdefault(_schema(call.operation["requestBody"]), call.sent)
        content = call.operation["responses"][call.answer.status_code].get("content", {})
        if "application/json" in content and len(content) == 1:
            body = orjson.loads(call.answer.body)
            name = _schema({"content": content})
            if name not in found or found[name].get("items") == []:
                found[name] = body
    return {name: _masked(found[name]) for name in sorted(found)}


def _schema(part: Any) -> str:
    reference: str = part["content"]["application/json"]["schema"]["$ref"]
    return reference.rpartition("/")[2]


def _masked(example: Any) -> Any:
    text = json.dumps(example, ensure_ascii=False)
    text = text.replace(str(settings.DATA_DIR), "/var/lib/dgxsite")
    for pattern, shown in _MASKS:
        text = pattern.sub(shown, text)
    return json.loads(text)
