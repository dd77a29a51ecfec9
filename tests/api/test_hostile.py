"""Whatever a client sends as a machine, the answer is 201 or a problem, never a fault."""

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.api.conftest import World

_ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=40),
    st.lists(st.text(max_size=5), max_size=3),
    st.dictionaries(st.text(max_size=5), st.integers(), max_size=2),
    st.sampled_from(["", "\x00", "\ud800", "../x", "SHA256:", "-----BEGIN PRIVATE KEY-----", "~x"]),
)
_GOOD: dict[str, Any] = {
    "name": "spark",
    "hostname": "192.0.2.7",
    "username": "ml",
    "auth_method": "password",
    "password": "x",
}
_NAMES = [
    "name", "transport", "hostname", "port", "username", "auth_method", "private_key",
    "passphrase", "password", "ssh_key_path", "generate_key", "jump_connection_id", "host_key",
    "ollama_port", "auto_connect", "tags", "team_id", "unknown",
]  # fmt: skip


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.dictionaries(st.sampled_from(_NAMES), _ODD, min_size=1, max_size=3))
def test_odd_fields_never_break_it(world: World, odd: dict[str, Any]) -> None:
    for answer in (
        world.admin.post("/connections", _GOOD | odd),
        world.admin.patch(f"/connections/{world.machine.pk}", odd),
    ):
        assert answer.status_code in {200, 201, 403, 404, 409, 422}, (odd, answer.content)
