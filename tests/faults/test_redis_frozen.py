"""A Redis that hangs costs a request one wait, however often it would have asked."""

import http.client
import re
import signal
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from urllib.parse import urlencode

import pytest
from django.contrib.auth.hashers import Argon2PasswordHasher

from core import redis_patience
from tests import factories
from tests.faults.conftest import StartSite
from tests.faults.site import Server, Site

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]

PASSWORD = "a-long-enough-password"
PROMISED_SECONDS = 3.0
# On top of it, where the suite takes the processors: a password is checked meanwhile.
LATE_SECONDS = 4.0


@contextmanager
def frozen(server: Server) -> Iterator[None]:
    server.send(signal.SIGSTOP)
    try:
        yield
    finally:
        server.send(signal.SIGCONT)


def test_a_log_in_takes_one_wait(start_site: StartSite, own_redis: tuple[Server, str]) -> None:
    server, redis_url = own_redis
    person = factories.make_user("ada")
    # The web process takes no other hash than the product's.
    person.password = Argon2PasswordHasher().encode(PASSWORD, "some-salt-of-this-test")
    person.save()
    site = start_site(redis_url=redis_url)
    site.web()
    log_in(site, "nobody")  # what is loaded once
    took = []
    with frozen(server):
        for _ in range(3):
            time.sleep(redis_patience.QUIET_SECONDS)  # so that each of them waits itself
            began = time.monotonic()
            assert log_in(site, "ada") == 302
            took.append(time.monotonic() - began)
    print(f"log-in with a frozen Redis: {', '.join(f'{one:.2f}' for one in took)} s")
    assert min(took) <= PROMISED_SECONDS + LATE_SECONDS
    assert log_in(site, "ada") == 302


def log_in(site: Site, name: str) -> int:
    """The page, then the form; the status of its answer."""
    with closing(http.client.HTTPConnection("127.0.0.1", site.port, timeout=60)) as link:
        link.request("GET", "/accounts/login/")
        page = link.getresponse()
        text = page.read().decode()
        cookie = page.headers["Set-Cookie"].split(";")[0]
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', text)
        assert token
        form = {
            "login": name,
            "password": PASSWORD,
            "csrfmiddlewaretoken": token[1],
        }
        headers = {"Cookie": cookie, "Content-Type": "application/x-www-form-urlencoded"}
        link.request("POST", "/accounts/login/", urlencode(form), headers)
        answer = link.getresponse()
        answer.read()
        return answer.status
