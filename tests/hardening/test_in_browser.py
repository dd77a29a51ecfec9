"""The administration in Chromium: readable, within its policy; and a broken policy is reported."""

import logging
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe

from accounts.models import User
from tests.browser.conftest import Visitor, browser, collect_static, fleet, site, visit

__all__ = ["browser", "fleet", "site", "visit"]

Visit = Callable[..., Visitor]


@pytest.fixture(scope="session")
def static_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As for the other pages, and with the admin's own files."""
    return collect_static(tmp_path_factory, "static-with-admin", ["ninja"])


@pytest.mark.timeout(300)
def test_admin_breaks_no_rule_of_contrast_and_no_policy(visit: Visit, fleet: object) -> None:
    User.objects.filter(username="boss").update(is_staff=True, is_superuser=True)
    visitor = visit()
    visitor.log_in("boss")
    found = {}
    for path in ("", "accounts/team/", "accounts/user/", "connections/connection/add/"):
        page = visitor.open(f"/admin/{path}")
        rules = Axe().run(page, options={"runOnly": ["color-contrast"]}).response["violations"]
        nodes = [node["html"][:150] for rule in rules for node in rule["nodes"]]
        if nodes:
            found[path] = nodes
    assert found == {}


def test_browser_reports_what_it_stopped(
    visit: Visit, fleet: object, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    visitor = visit()
    page = visitor.open("/accounts/login/")
    page.evaluate(
        "() => { const s = document.createElement('script'); s.textContent = '1';"
        " document.head.append(s); }"
    )
    deadline = time.monotonic() + 10
    while not [text for text in caplog.messages if "page broke its policy" in text]:
        assert time.monotonic() < deadline, "no report arrived"
        page.wait_for_timeout(50)
    [line] = [text for text in caplog.messages if "page broke its policy" in text]
    assert "directive=script-src-elem blocked=inline route=/accounts/login/" in line
    visitor.forgive("Content Security Policy")
