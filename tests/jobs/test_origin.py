"""What a run began from: what a machine says of itself is read strictly, and is never believed."""

import pytest

from jobs.remote import origin

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def git(*lines: str) -> dict[str, object]:
    found = origin.parse("".join(f"{line}\n" for line in (f"commit {COMMIT}", *lines)).encode())
    part: dict[str, object] = found["git"]
    return part


def test_reads_what_was_written() -> None:
    written = (
        f"host spark-1\nkernel Linux 6.8\narchitecture aarch64\ndistribution Ubuntu 24.04\n"
        f"driver 580.95\ncommit {COMMIT}\nbranch main\nremote git@example.org:team/p.git\n"
        "changed_files 2\ncuda 13.0\npython_path /v/bin/python\npython 3.12.3\n"
        "package torch==2.9.0+cu130\npackage numpy==2.1\n"
    )
    assert origin.parse(written.encode()) == {
        "machine": {
            "host": "spark-1",
            "kernel": "Linux 6.8",
            "architecture": "aarch64",
            "distribution": "Ubuntu 24.04",
            "driver_version": "580.95",
            "cuda_version": "13.0",
        },
        "git": {
            "commit": COMMIT,
            "branch": "main",
            "is_dirty": True,
            "changed_files": 2,
            "remote_url": "git@example.org:team/p.git",
        },
        "git_reason": None,
        "python": {
            "version": "3.12.3",
            "path": "/v/bin/python",
            "packages": ["numpy==2.1", "torch==2.9.0+cu130"],
        },
    }


def test_nothing_is_nothing() -> None:
    found = origin.parse(b"")
    assert (found["git"], found["git_reason"], found["python"]) == (None, None, None)
    assert set(found["machine"].values()) == {None}


@pytest.mark.parametrize(
    ("address", "kept"),
    [
        ("https://ann:hunter2@example.org/p.git", "https://example.org/p.git"),
        ("https://token@example.org:8443/p.git?x=secret#y", "https://example.org:8443/p.git"),
        ("https://a:b@c@example.org/p", "https://example.org/p"),
        ("ssh://git@example.org/p.git", "ssh://example.org/p.git"),
        ("git@example.org:p.git", "git@example.org:p.git"),
        ("ann:hunter2@example.org:p.git", None),
        ("/srv/git/p.git", "/srv/git/p.git"),
        ("ext::sh -c 'curl https://ann:pw@example.org'", None),
        ("https://exa mple.org/p", None),
        ("https://ann:hunt/er2@example.org/p", None),
        ("https://ann:hunt?er2@example.org/p", None),
        ("ssh://git@[::1]:22/p", "ssh://[::1]:22/p"),
    ],
)
def test_an_address_loses_who_logs_in_there(address: str, kept: str | None) -> None:
    assert git(f"remote {address}")["remote_url"] == kept


@pytest.mark.parametrize("commit", ["", "main", COMMIT[:-1], COMMIT.upper(), f"{COMMIT} x"])
def test_a_commit_is_hexadecimal_digits_or_nothing(commit: str) -> None:
    assert origin.parse(f"commit {commit}\ngit_reason why\n".encode())["git"] is None


@pytest.mark.parametrize("count", ["", "-1", "1e3", "9" * 30, "١"])
def test_a_count_that_is_none_leaves_open_whether_something_changed(count: str) -> None:
    part = git(f"changed_files {count}")
    assert (part["is_dirty"], part["changed_files"]) == (None, None)


def test_no_change_is_zero_and_clean() -> None:
    part = git("changed_files 0")
    assert (part["is_dirty"], part["changed_files"]) == (False, 0)


def test_texts_are_cut_and_made_printable() -> None:
    written = b"host a\x1b[31mb\xff\x00c\nkernel " + b"k" * 5000 + b"\nhost second\n"
    machine = origin.parse(written)["machine"]
    assert (
        machine["host"] == "a\N{REPLACEMENT CHARACTER}[31mb" + "\N{REPLACEMENT CHARACTER}" * 2 + "c"
    )
    assert machine["kernel"] == "k" * 300


def test_packages_have_a_grammar_and_a_number() -> None:
    lines = [
        "package evil==1; rm -rf /",
        "package a @ https://t@x/y",
        "package ==1",
        "package ok==1",
    ]
    lines += [f"package p{number}==1" for number in range(origin.MOST_PACKAGES)]
    written = "python 3.12\n" + "".join(f"{line}\n" for line in lines)
    packages = origin.parse(written.encode())["python"]["packages"]
    assert len(packages) == origin.MOST_PACKAGES
    assert packages[0] == "ok==1"


def test_a_line_that_was_still_written_is_left_out() -> None:
    assert origin.parse(b"host a\nkernel Lin")["machine"]["kernel"] is None
