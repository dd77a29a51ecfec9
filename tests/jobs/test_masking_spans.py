"""Masking equals the plain rule – star every place where a secret stands – however it is found."""

import time

from hypothesis import given, settings
from hypothesis import strategies as st

from jobs import masking

# Few letters: secrets that overlap themselves and each other in every way.
_TEXTS = st.binary(min_size=0, max_size=60).map(lambda data: bytes(97 + b % 2 for b in data))
_SECRETS = st.lists(
    st.binary(min_size=4, max_size=24).map(lambda data: bytes(97 + b % 2 for b in data)),
    min_size=1,
    max_size=3,
)


def plainly(data: bytes, secrets: list[bytes]) -> bytes:
    masked = bytearray(data)
    for secret in secrets:
        for at in range(len(data) - len(secret) + 1):
            if data[at : at + len(secret)] == secret:
                masked[at : at + len(secret)] = b"*" * len(secret)
    return bytes(masked)


@given(_TEXTS, _SECRETS)
@settings(max_examples=500, deadline=None)
def test_every_place_of_a_secret_is_starred(data: bytes, secrets: list[bytes]) -> None:
    assert masking.mask(data, secrets, is_end=True) == plainly(data, secrets)


@given(_TEXTS, _SECRETS)
@settings(max_examples=500, deadline=None)
def test_what_may_begin_a_secret_waits(data: bytes, secrets: list[bytes]) -> None:
    kept = masking.mask(data, secrets, is_end=False)
    assert kept == plainly(data, secrets)[: len(kept)]
    for secret in secrets:
        begun = next((n for n in range(len(secret) - 1, 0, -1) if data.endswith(secret[:n])), 0)
        assert len(data) - len(kept) >= begun


def test_the_longest_secret_in_a_long_log_takes_no_time() -> None:
    """232 s at first: a secret of 32 KiB of one letter, in two megabytes of it."""
    secret = b"a" * 32 * 1024
    began = time.process_time()
    kept = masking.mask(b"a" * 2**21, [secret, secret[:-1] + b"b", b"ab" * 16_000], is_end=False)
    assert time.process_time() - began < 5.0
    assert set(kept) == {ord("*")}
