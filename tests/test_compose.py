"""docker compose hands every setting on, and what it hands on is what the site starts with."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.fernet import Fernet

ROOT = Path(__file__).resolve().parent.parent
# `manage.py up` and tests set these for their own processes; the image sets the data directory.
_NOT_HANDED_ON = {
    "DGX_DATA_DIR", "DGX_HOLDS_LOCAL", "DGX_DEMO", "DGX_TIME_SCALE", "DGX_FAIL_AT",
}  # fmt: skip
# Only what prepares the site makes the first administrator.
_OF_PREPARE = {"DGX_ADMIN_USERNAME", "DGX_ADMIN_PASSWORD"}
_VARIABLE = re.compile(r"\$\{(\w+)(:?[-+])?((?:[^{}]|\$\{[^{}]*\})*)\}")


class _Strict(yaml.SafeLoader):
    """Refuses a key that stands twice, as compose does."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        names = [key.value for key, _ in node.value if key.value != "<<"]
        assert len(names) == len(set(names)), names
        return super().construct_mapping(node, deep)


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    loaded: dict[str, Any] = yaml.load(text, _Strict)["services"]
    return loaded


def _example() -> dict[str, str]:
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    return dict(re.findall(r"^#?([A-Z][A-Z_]+)=(.*)$", text, re.MULTILINE))


def _filled(value: Any, environment: dict[str, str]) -> str:
    """As compose fills it in: `${A}`, `${A:-b}`, `${A-b}`, `${A:+b}`."""

    def fill(match: re.Match[str]) -> str:
        name, sign, other = match[1], match[2] or "", match[3]
        found = environment.get(name)
        is_there = bool(found) if sign.startswith(":") else found is not None
        if sign.endswith("+"):
            return _filled(other, environment) if is_there else ""
        return str(found) if is_there else _filled(other, environment)

    return _VARIABLE.sub(fill, str(value))


@pytest.mark.parametrize("service", ["prepare", "web", "keeper", "worker", "beat"])
def test_every_setting_of_the_example_is_handed_on(services: dict[str, Any], service: str) -> None:
    names = {name.removesuffix("_FILE") for name in services[service]["environment"]}
    wanted = set(_example()) - _NOT_HANDED_ON
    if service != "prepare":
        wanted -= _OF_PREPARE
        assert not names & _OF_PREPARE
    assert wanted - names == set()


@pytest.mark.parametrize("service", ["prepare", "web"])
def test_what_is_set_arrives(services: dict[str, Any], service: str) -> None:
    fixed = {"DATABASE_URL", "REDIS_URL", "DGX_SECRET_KEY", "DGX_ENCRYPTION_KEYS"}
    fixed |= {"DGX_SSH_KEY_DIR", "DGX_BREACHED_PASSWORDS"} | _NOT_HANDED_ON
    canary = {name: f"canary-{name}" for name in _example()}
    for name, value in services[service]["environment"].items():
        if name.removesuffix("_FILE") not in fixed:
            assert _filled(value, canary) == f"canary-{name}"
    mounts = [_filled(one, canary) for one in services[service]["volumes"]]
    inside = _filled(services[service]["environment"]["DGX_BREACHED_PASSWORDS"], canary)
    assert f"canary-DGX_BREACHED_PASSWORDS:{inside}:ro" in mounts


def _settings(environment: dict[str, str], expression: str, folder: Path) -> str:
    """What an expression gives in a process that starts with nothing but this environment."""
    files = {"DATABASE_URL": "postgresql://dgx@postgres/dgx", "DGX_SECRET_KEY": "x" * 60}
    files["DGX_ENCRYPTION_KEYS"] = Fernet.generate_key().decode()
    for name, text in files.items():
        (folder / name).write_text(text)
        environment[f"{name}_FILE"] = str(folder / name)
    done = subprocess.run(
        [sys.executable, "-c", f"from dgxsite import settings; print({expression})"],
        env={"PATH": os.environ["PATH"], "DGX_DATA_DIR": str(folder), **environment},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_site_starts_with_nothing_set(services: dict[str, Any], tmp_path: Path) -> None:
    """An empty value is no value: an empty number would stop the start."""
    sent = {name: _filled(value, {}) for name, value in services["web"]["environment"].items()}
    told = _settings(
        sent,
        "settings.TERMINAL, settings.LOG_LEVEL, settings.ALLOWED_NETWORKS,"
        " [str(one) for one in settings.TRUSTED_PROXIES]",
        tmp_path,
    )
    assert told == "True INFO [] ['172.31.251.1/32']"


def test_nobody_is_trusted_where_the_setting_is_nothing(
    services: dict[str, Any], tmp_path: Path
) -> None:
    given = {"DGX_TRUSTED_PROXIES": ""}
    sent = {name: _filled(value, given) for name, value in services["web"]["environment"].items()}
    assert _settings(sent, "settings.TRUSTED_PROXIES", tmp_path) == "()"


def test_what_is_trusted_is_the_gateway_of_the_network() -> None:
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    network = yaml.safe_load(text)["networks"]["default"]["ipam"]["config"][0]
    assert _filled(network["gateway"], {}) == "172.31.251.1"
    assert _filled(network["subnet"], {}).startswith("172.31.251.")
