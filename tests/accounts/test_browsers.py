"""How a browser is called in the list of sessions."""

import pytest

from accounts.templatetags.browsers import browser

_KHTML = "AppleWebKit/537.36 (KHTML, like Gecko)"


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (f"Mozilla/5.0 (X11; Linux x86_64) {_KHTML} Chrome/156.0 Safari/537.36", "Chrome on Linux"),
        (
            f"Mozilla/5.0 (Windows NT 10.0) {_KHTML} Chrome/156.0 Safari/537.36 Edg/156.0",
            "Edge on Windows",
        ),
        ("Mozilla/5.0 (Android 15; Mobile; rv:150.0) Firefox/150.0", "Firefox on Android"),
        (f"Mozilla/5.0 (Linux; Android 15) {_KHTML} Chrome/156.0", "Chrome on Android"),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Safari/604.1",
            "Safari on iPhone",
        ),
        ("curl/8.9.1", "curl"),
        ("<script>" * 20, ("<script>" * 20)[:60]),
        ("", "Unknown browser"),
    ],
)
def test_is_called_what_its_owner_calls_it(said: str, shown: str) -> None:
    assert browser(said) == shown
