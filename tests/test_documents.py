"""What the documents promise is there, and what is there is documented."""

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import get_commands
from django.template.loader import get_template

from dgxsite.api import api
from dgxsite.up import programs
from tests.product import PACKAGES, ROOT


def _text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def _settings_in_code() -> set[str]:
    """The first argument of every call of an `env_…` function."""
    names = set()
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and (name := _setting_of(node)):
                    names.add(name)
    return names


def _setting_of(call: ast.Call) -> str | None:
    function = getattr(call.func, "id", "")
    is_setting = function.startswith("env_") or function == "_key"
    if not is_setting or not call.args or not isinstance(call.args[0], ast.Constant):
        return None
    return str(call.args[0].value)


def _settings_in_example() -> set[str]:
    return set(re.findall(r"^#?([A-Z][A-Z_]+)=", _text(".env.example"), re.MULTILINE))


def test_every_setting_is_in_the_example() -> None:
    assert _settings_in_code() - _settings_in_example() == set()


def test_every_setting_of_the_example_exists() -> None:
    assert _settings_in_example() - _settings_in_code() == set()


def _targets() -> set[str]:
    return set(re.findall(r"^([a-z]+):", _text("Makefile"), re.MULTILINE))


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md", ".ci/run"])
def test_make_commands_of_the_documents_exist(document: str) -> None:
    promised = set(re.findall(r"^make ([a-z]+)|`make ([a-z]+)", _text(document), re.MULTILINE))
    names = {name for pair in promised for name in pair if name}
    assert names
    assert names - _targets() == set()


def test_management_commands_of_the_documents_exist() -> None:
    text = "".join(_text(str(p.relative_to(ROOT))) for p in [ROOT / "README.md", *_notes()])
    promised = set(re.findall(r"manage\.py ([a-z_]+)", text))
    assert "up" in promised
    assert promised - set(get_commands()) == set()


def _notes() -> list[Path]:
    return sorted((ROOT / "docs").glob("*.md"))


@pytest.mark.parametrize("path", [ROOT / "README.md", ROOT / "ARCHITECTURE.md", *_notes()])
def test_links_lead_somewhere(path: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", path.read_text(encoding="utf-8"))
    missing = [link for link in links if not (path.parent / link).exists()]
    assert not missing


@pytest.mark.parametrize("path", sorted((ROOT / "requirements").glob("*.txt")))
def test_locks_hold_hashes_and_no_address(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert "://" not in text
    assert not re.search(r"^\s*-", text.replace("    --hash", ""), re.MULTILINE)
    for requirement in re.split(r"\n(?=\S)", text.strip()):
        assert "--hash=sha256:" in requirement, requirement


def test_package_lock_holds_no_address() -> None:
    packages = json.loads(_text("package-lock.json"))["packages"]
    assert not [name for name, entry in packages.items() if "resolved" in entry]


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(_text("docker-compose.yml"))
    return loaded


def test_compose_has_the_whole_topology(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert set(services) == {"prepare", "web", "keeper", "worker", "beat", "postgres", "redis"}
    for name in set(services) - {"prepare"}:
        assert "test" in services[name]["healthcheck"], name
        assert services[name]["restart"] == "unless-stopped", name


def test_compose_starts_what_up_starts(compose: dict[str, Any]) -> None:
    services = compose["services"]
    here = list(programs.keeper().argv)
    queues = here[here.index("-Q") + 1].split(",")
    keeper, worker = services["keeper"]["command"], services["worker"]["command"]
    assert sorted([keeper[keeper.index("-Q") + 1], worker[worker.index("-Q") + 1]]) == queues
    for command in (keeper, worker):
        assert set(programs.WORKER_OPTIONS) < set(command)
        assert command[command.index("-P") + 1] == "threads"
    assert programs.beat().argv[3:] == tuple(services["beat"]["command"][1:])


def test_image_starts_the_web_as_up_does() -> None:
    command = re.search(r"^CMD (\[.*?\])$", _text("Dockerfile"), re.MULTILINE | re.DOTALL)
    assert command is not None
    started = json.loads(command.group(1).replace("\\\n", ""))
    assert set(programs.WEB_OPTIONS) < set(started)


def test_image_and_containers_are_not_root(compose: dict[str, Any]) -> None:
    users = re.findall(r"^USER (\S+)", _text("Dockerfile"), re.MULTILINE)
    assert users == ["dgx"]
    for name in ("web", "keeper", "worker", "beat"):
        service = compose["services"][name]
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert "user" not in service, name


def test_compose_hands_over_secrets_as_files(compose: dict[str, Any]) -> None:
    environment = compose["services"]["web"]["environment"]
    for name in ("DATABASE_URL", "DGX_SECRET_KEY", "DGX_ENCRYPTION_KEYS"):
        assert name not in environment
        assert environment[f"{name}_FILE"].startswith("/run/secrets/")
    ignored = _text(".dockerignore").split()
    assert {".env", "secrets", "var", ".git"} <= set(ignored)


def test_every_path_of_the_api_is_documented() -> None:
    text = _text("docs/api.md")
    missing = [
        f"{method.upper()} {path}"
        for path, operations in api.get_openapi_schema()["paths"].items()
        for method in operations
        if not re.search(rf"^\| `{re.escape(path)}` \|[^|]*\b{method.upper()}\b", text, re.M)
    ]
    assert not missing


def test_every_documented_path_of_the_api_exists() -> None:
    documented = set(re.findall(r"^\| `(/api/v1/[^`]+)`", _text("docs/api.md"), re.MULTILINE))
    assert documented == set(api.get_openapi_schema()["paths"])


def _templates() -> dict[str, str]:
    paths = sorted((ROOT / "templates").rglob("*.html"))
    return {str(p.relative_to(ROOT)): p.read_text(encoding="utf-8") for p in paths}


@pytest.mark.parametrize("path", _templates())
def test_every_template_compiles(path: str) -> None:
    get_template(path.removeprefix("templates/"))


def test_no_line_of_a_template_is_longer_than_120_characters() -> None:
    # The formatter breaks neither a tag of Django's nor a value of an attribute.
    long = [
        f"{path}:{number}"
        for path, text in _templates().items()
        for number, line in enumerate(text.splitlines(), start=1)
        if len(line) > 120
    ]
    assert not long


def test_what_the_pages_hide_when_empty_can_be_empty() -> None:
    """`:empty` matches nothing with a line break in it, not even one before a tag of Django's."""
    styles = "".join(p.read_text(encoding="utf-8") for p in (ROOT / "static/css").glob("*.css"))
    names = "|".join(set(re.findall(r"\.([\w-]+):empty", styles)))
    assert "field-error" in names
    opened = re.compile(rf'<\w+[^>]*class="[^"]*\b(?:{names})\b[^>]*>\s+\{{')
    assert not [path for path, text in _templates().items() if opened.search(text)]
