"""A program: log in once as the site does, in a process of its own whose growth can be measured.

Reads host, port, key and fingerprint as JSON from stdin; writes what came of it as JSON.
"""

import json
import os
import resource
import sys
import time
from collections.abc import Callable

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")

import django

django.setup()

from connections import ssh  # noqa: E402  (models want a settled Django)
from connections.files import browse  # noqa: E402

# What is asked over SFTP; how much came of it.
LOOKS: dict[str, Callable[[browse.Tree], int]] = {
    "folder": lambda tree: len(tree.folder(b"").entries),
    "link": lambda tree: len(tree.target(b"link") or b""),
    "path": lambda tree: len(tree.sftp.real_path(b"link")),
}


def main() -> None:
    asked = json.load(sys.stdin)
    jump = asked.pop("jump", None)
    seconds, command = asked.pop("seconds"), asked.pop("command", None)
    look = asked.pop("look", None)
    target = _target(asked, _target(jump, None) if jump else None)
    before, began = _peak_bytes(), time.monotonic()
    answer: dict[str, object] = {"reason": None, "detail": None}
    try:
        with ssh.open_session(target, timeout=seconds) as session:
            if command:  # what it prints is read by nobody
                session._open(command, seconds)
                while session.is_active and time.monotonic() - began < 2 * seconds:
                    time.sleep(0.05)
            if look:
                with session.sftp(timeout=2 * seconds) as sftp:
                    answer["found"] = LOOKS[look](browse.Tree(sftp, "sim", b"/"))
            answer["is_active"] = session.is_active
    except ssh.SentTooMuch as error:
        answer["detail"] = str(error)
    except ssh.ConnectError as error:
        answer = {"reason": error.reason, "detail": error.detail}
    answer["seconds"] = time.monotonic() - began
    answer["cpu_seconds"] = time.process_time()
    answer["growth_bytes"] = _peak_bytes() - before
    json.dump(answer, sys.stdout)
    sys.stdout.flush()
    os._exit(0)  # a thread that never ends would keep us


def _target(asked: dict[str, str], jump: ssh.Target | None) -> ssh.Target:
    return ssh.Target(
        hostname=asked["host"],
        address="" if jump else asked["host"],
        port=int(asked["port"]),
        username="sim",
        credentials=ssh.Credentials(private_key=asked["key"]),
        host_key=asked["fingerprint"],
        jump=jump,
    )


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main()
