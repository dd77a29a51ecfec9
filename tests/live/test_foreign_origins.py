"""`DGX_CORS_ORIGINS` opens the socket of this machine to pages of other sites, and no other."""

import pytest

from dgxsite import checks
from dgxsite.sockets.access import is_welcome
from dgxsite.sockets.consumers import LiveConsumer, ThisMachineConsumer

FOREIGN = "https://other.example.org"


@pytest.fixture(autouse=True)
def _named(settings: object) -> None:
    settings.CORS_ORIGINS = [FOREIGN]  # type: ignore[attr-defined]


def handshake(origin: str) -> dict[str, object]:
    return {
        "headers": [(b"host", b"testserver"), (b"origin", origin.encode()), (b"cookie", b"a=b")]
    }


def test_only_this_machines_socket_takes_them() -> None:
    own, live = ThisMachineConsumer().foreign_origins(), LiveConsumer().foreign_origins()
    assert is_welcome(handshake(FOREIGN), own)
    assert not is_welcome(handshake(FOREIGN), live)


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "", FOREIGN + ".evil.example", FOREIGN + "/"]
)
def test_others_stay_outside(origin: str) -> None:
    assert not is_welcome(handshake(origin), ThisMachineConsumer().foreign_origins())


def test_none_is_the_default(settings: object) -> None:
    settings.CORS_ORIGINS = []  # type: ignore[attr-defined]
    assert not is_welcome(handshake(FOREIGN), ThisMachineConsumer().foreign_origins())


@pytest.mark.parametrize("text", ["*", "other.example.org", FOREIGN + "/", "https://Other.org"])
def test_start_refuses_what_is_no_origin(settings: object, text: str) -> None:
    assert checks.cors_origins(None) == []
    settings.CORS_ORIGINS = [text]  # type: ignore[attr-defined]
    assert [found.id for found in checks.cors_origins(None)] == ["dgxsite.E002"]
