"""Copies a database: trials that stop PostgreSQL use a server of their own."""

import subprocess

from dgxsite.up import servers


def copy(source: str, target: str) -> None:
    """Tables and rows of `source` into the empty database `target`; both are addresses."""
    dump = subprocess.run(
        [servers.postgres_program("pg_dump"), "--no-owner", source],
        check=True,
        capture_output=True,
        timeout=60,
    )
    subprocess.run(
        [servers.postgres_program("psql"), "-qX", "-v", "ON_ERROR_STOP=1", target],
        check=True,
        input=dump.stdout,
        capture_output=True,
        timeout=60,
    )
