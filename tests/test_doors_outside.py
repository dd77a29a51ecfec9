"""The doors to what is not PostgreSQL, read from the source: whoever waits has given back first.

A call that may wait – for a machine, a program, a name server, a mail server, time itself – stands
in a function under `core.web.waiting.outside_database`, or here with the reason why it need not.
"""

import ast
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from tests.product import PACKAGES, ROOT

WRAPPER = "outside_database"

# Modules that are nothing but ways to wait; of `module.name`, these names do not.
WAITING_MODULES = {
    "subprocess", "socket", "smtplib", "ftplib", "urllib.request", "http.client", "requests",
    "httpx", "aiohttp", "paramiko", "asyncssh", "ssl", "select", "selectors",
}  # fmt: skip
HARMLESS = {
    "socket.gethostname", "socket.socket", "ssl.create_default_context",
    "http.client.HTTPConnection", "paramiko.SSHException", "paramiko.SFTPAttributes",
    "requests.exceptions.RequestException",
}  # fmt: skip
# Calls by name, whatever they belong to.
WAITING_NAMES = {
    "sleep", "send_mail", "mail_admins", "urlopen", "apply_async", "send_task", "delay",
}  # fmt: skip
# `x.send()` of these.
MESSAGES = {"message", "email", "mail"}

# Who waits without it: module and function (None: the whole module) → why that hurts nobody.
ELSEWHERE: dict[tuple[str, str | None], str] = {
    ("connections/ssh/login.py", None): "every public way in gives back; see the test below",
    ("connections/ssh/transport.py", None): "the session's own threads, which know no database",
    ("connections/ssh/reader.py", None): "the reading thread, which knows no database",
    ("dgxsite/up/servers.py", None): "the servers themselves, before there is a database",
    ("dgxsite/up/children.py", None): "the supervisor's, which knows no database",
    ("dgxsite/up/supervisor.py", None): "the supervisor's, which knows no database",
    ("dgxsite/up/database_copy.py", None): "a command that is given to pg_dump and back",
    ("dgxsite/management/commands/up.py", None): "the supervisor's, before there is a database",
    ("core/security/address_policy.py", "_look_up"): "a thread of its own, which knows no database",
    ("core/background/wakeup.py", "_send"): "a thread of its own, which has given back",
    ("jobs/keeper/agent.py", "_loop"): "gives its own back after each round",
}


class Call(NamedTuple):
    """A call that may wait, and the functions around it, outermost first."""

    path: str
    line: int
    what: str
    functions: tuple[str, ...]
    is_wrapped: bool

    @property
    def is_explained(self) -> bool:
        places: set[tuple[str, str | None]] = {(self.path, None)}
        places |= {(self.path, name) for name in self.functions}
        return bool(places & ELSEWHERE.keys())


def calls_of(source: str, path: str) -> Iterator[Call]:
    tree = ast.parse(source)
    names = dict(_imported(tree))
    yield from _walk(tree, path, names, (), is_wrapped=False)


def _imported(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """What each name of the module stands for."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                first = alias.name.split(".")[0]
                yield alias.asname or first, alias.name if alias.asname else first
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                yield alias.asname or alias.name, f"{node.module}.{alias.name}"


def _walk(
    node: ast.AST, path: str, names: dict[str, str], functions: tuple[str, ...], *, is_wrapped: bool
) -> Iterator[Call]:
    for child in ast.iter_child_nodes(node):
        inside, wrapped = functions, is_wrapped
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
            inside = (*functions, child.name)
            wrapped = is_wrapped or any(map(_is_wrapper, child.decorator_list))
        elif isinstance(child, ast.With):
            wrapped = is_wrapped or any(_is_wrapper(item.context_expr) for item in child.items)
        elif isinstance(child, ast.Call) and (what := _waits(child.func, names)):
            yield Call(path, child.lineno, what, functions, is_wrapped)
        yield from _walk(child, path, names, inside, is_wrapped=wrapped)


def _is_wrapper(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and _dotted(node.func).split(".")[-1] == WRAPPER


def _waits(function: ast.expr, names: dict[str, str]) -> str | None:
    """How the call is named if it may wait."""
    said = _dotted(function)
    first, _, rest = said.partition(".")
    whole = ".".join(filter(None, (names.get(first, "?"), rest)))
    last = said.split(".")[-1]
    if last == "send" and said.split(".")[0] in MESSAGES:
        return said
    if last in WAITING_NAMES and not whole.startswith("asyncio."):
        return whole
    of_module = any(whole.startswith(module + ".") for module in WAITING_MODULES)
    return whole if of_module and whole not in HARMLESS else None


def _dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def everything() -> list[Call]:
    paths = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    return [
        call
        for path in paths
        for call in calls_of(path.read_text(encoding="utf-8"), path.relative_to(ROOT).as_posix())
    ]


def test_who_waits_outside_postgresql_has_given_back() -> None:
    wrong = [call for call in everything() if not call.is_wrapped and not call.is_explained]
    said = "\n".join(f"{call.path}:{call.line} {call.what}" for call in wrong)
    assert not wrong, f"put these under core.web.waiting.{WRAPPER}, or say why not:\n{said}"


def test_reasons_are_still_needed() -> None:
    seen = {(call.path, name) for call in everything() for name in (None, *call.functions)}
    unused = ELSEWHERE.keys() - seen
    assert not unused


@pytest.mark.parametrize(
    "source",
    [
        "import subprocess\ndef ask():\n    subprocess.run(['true'])",
        "from subprocess import run as go\ndef ask():\n    go(['true'])",
        "import time\ndef ask():\n    time.sleep(1)",
        "import socket as s\ndef ask():\n    s.create_connection(('a', 1))",
        "import http.client\ndef ask():\n    http.client.HTTPSConnection('a').request('GET', '/')",
        "def ask(message):\n    message.send()",
        "from urllib.request import urlopen\ndef ask():\n    urlopen('http://a')",
    ],
)
def test_a_new_one_would_be_seen(source: str) -> None:
    (call,) = calls_of(source, "jobs/new.py")
    assert not call.is_wrapped
    assert not call.is_explained
    wrapped = source.replace("def ask", f"@{WRAPPER}()\ndef ask")
    assert [call.is_wrapped for call in calls_of(wrapped, "jobs/new.py")] == [True]


# The ways into `connections/ssh`, and what gives back there.
SSH_WAYS = {
    "open_session": "decorated", "probe_host_key": "decorated",
    "run": "decorated", "open_stream": "decorated", "sftp": "calls", "_request": "calls",
}  # fmt: skip


def test_every_way_over_ssh_gives_back() -> None:
    folder = ROOT / "connections/ssh"
    trees = [
        ast.parse((folder / f"{name}.py").read_text()) for name in ("login", "session", "sftp")
    ]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    functions = {node.name: node for node in nodes if isinstance(node, ast.FunctionDef)}
    for name, how in SSH_WAYS.items():
        function = functions[name]
        is_decorated = any(map(_is_wrapper, function.decorator_list))
        inside = [_dotted(n.func) for n in ast.walk(function) if isinstance(n, ast.Call)]
        assert is_decorated if how == "decorated" else "give_back" in inside, name


def test_streamed_answers_come_from_one_place() -> None:
    found = set()
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and _dotted(node.func).split(".")[-1] in {
                    "StreamingHttpResponse", "FileResponse",
                }:  # fmt: skip
                    found.add(path.relative_to(ROOT).as_posix())
    assert found == {"core/web/streaming.py"}
