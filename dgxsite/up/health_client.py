"""Ask a running site how it is, without loading Django: for the supervisor and for containers.

`python -m dgxsite.up.health_client [URL] [--check NAME]` ends with 0 when the site, or the one part
named, says "ok", and otherwise prints what it says.
"""

import argparse
import http.client
import json
import os
import sys
from urllib.parse import urlsplit

_TIMEOUT_SECONDS = 5.0
_LIMIT_BYTES = 64 * 1024


def checks(address: str, host_header: str) -> dict[str, str] | None:
    """What each part of the site says, `"ok"` or a sentence; None when nothing usable answers.

    `address` is `http://HOST:PORT`; a proxy of the environment is not asked.
    """
    parts = urlsplit(address)
    connection = http.client.HTTPConnection(
        parts.hostname or "127.0.0.1", parts.port or 80, timeout=_TIMEOUT_SECONDS
    )
    try:
        connection.request("GET", "/api/health", headers={"Host": host_header})
        answer = json.loads(connection.getresponse().read(_LIMIT_BYTES))
        return {str(name): str(state) for name, state in answer["checks"].items()}
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError, AttributeError):
        return None
    finally:
        connection.close()


def complaint(states: dict[str, str] | None) -> str:
    """What is wrong, in one line; empty when all is well."""
    if states is None:
        return "the site does not answer"
    return "; ".join(f"{name}: {state}" for name, state in states.items() if state != "ok")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url", nargs="?", default="http://127.0.0.1:8000")
    parser.add_argument("--check", help="one of database, redis, keeper, worker, beat")
    arguments = parser.parse_args()
    allowed = os.environ.get("DGX_ALLOWED_HOSTS", "").split(",")[0].strip()
    states = checks(arguments.url, allowed or "localhost")
    if arguments.check and states is not None:
        states = {arguments.check: states.get(arguments.check, "is not known")}
    problem = complaint(states)
    print(problem or "ok")
    return 1 if problem else 0


if __name__ == "__main__":
    sys.exit(main())
