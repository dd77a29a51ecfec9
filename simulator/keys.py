"""Keys that are made once and kept: host keys, and the key of the fleet's client."""

import os
from pathlib import Path

import asyncssh


def kept_key(path: Path) -> asyncssh.SSHKey:
    """The key in `path`, made at the first start and kept, readable by its owner alone."""
    if path.exists():
        return asyncssh.read_private_key(path)
    key = asyncssh.generate_private_key("ssh-ed25519")
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(key.export_private_key())
    return key
