"""A site that breaks off, sends elsewhere, or is not there."""

import pytest

from tests.client.conftest import Command, Fickle

PROJECTS = b'{"items": [{"id": "1", "name": "p"}], "count": 1}'


def test_a_post_that_broke_off_is_sent_again_with_its_key(command: Command, fickle: Fickle) -> None:
    fickle.answers = [
        (200, {}, PROJECTS),
        (0, {}, b""),
        (503, {}, b"{}"),
        (201, {}, b'{"id": "7"}'),
    ]
    done = command("run", "-p", "p", "true")
    assert (done.returncode, done.stdout) == (0, "7\n")
    posts = [key for method, _, key in fickle.heard if method == "POST"]
    assert len(posts) == 3
    assert len(set(posts)) == 1
    assert posts[0]


def test_a_token_follows_no_redirect(command: Command, fickle: Fickle) -> None:
    fickle.answers = [(302, {"Location": f"{fickle.url}/elsewhere"}, b"")]
    done = command("ps")
    assert (done.returncode, len(fickle.heard)) == (1, 1)
    assert "302" in done.stderr


@pytest.mark.parametrize("body", [b"<html>", b'"text"', b'{"errors": 5}'])
def test_what_is_no_problem_is_one_sentence(command: Command, fickle: Fickle, body: bytes) -> None:
    fickle.answers = [(403, {}, body)]
    done = command("ps")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "dgx_secret" not in done.stderr


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://gpu.example.org", "use https"),
        ("ftp://gpu.example.org", "not the address"),
        ("https://user@gpu.example.org", "not the address"),
        ("", "DGXSITE_URL"),
    ],
)
def test_an_address_that_will_not_do(command: Command, url: str, words: str) -> None:
    done = command("ps", DGXSITE_URL=url, DGXSITE_TOKEN="dgx_secret")
    assert (done.returncode, words in done.stderr) == (2, True)


def test_without_a_token_it_says_how_to_get_one(command: Command) -> None:
    done = command("ps", DGXSITE_URL="http://localhost:1")
    assert (done.returncode, "dgxsite login" in done.stderr) == (2, True)
