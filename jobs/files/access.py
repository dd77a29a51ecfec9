"""The two folders of a job on its machine: the project's, and the job's own. Reads only.

What holds secret values in clear is withheld, because the site shows them masked everywhere else;
it does not protect a machine from people who may run jobs there. Raises as
`connections.files.browse`.
"""

import posixpath
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from django.db import transaction

from accounts import audit
from accounts.auth import rate_limits
from accounts.policy import Caller, forbidden, may
from connections import visits
from connections.files import browse
from connections.files.browse import Refused, Tree, shown
from core.errors import SiteError
from jobs.models import Job
from projects import services as projects

Root = Literal["project", "job"]
ROOTS: tuple[Root, ...] = ("project", "job")
PREVIEW_BYTES = 1024 * 1024
# Each is a log-in.
LOOKS_PER_MINUTE = 60
_JOBS = b".dgxsite/jobs"
_WITHHELD = frozenset({b"environment", b"container.env", b"config.json", b"log"})
# What stands in for characters that a page cannot show, all but tabs and line breaks.
_CONTROLS = dict.fromkeys([*range(9), 11, *range(13, 32), *range(127, 160)], "\ufffd")


@dataclass(frozen=True, slots=True)
class Preview:
    """A file: its text where it is one and small enough, else `why_not`."""

    path: bytes
    size: int
    text: str = ""
    why_not: str = ""


@contextmanager
def opened(caller: Caller, job: Job, root: Root) -> Iterator[Tree]:
    """A log-in for one look into one of the folders. Never inside a transaction."""
    check(caller, job)
    with visits.take(caller), browse.opened(job.connection) as machine:
        yield tree_of(machine, job, root)


def preview(tree: Tree, real: bytes) -> Preview:
    """The text of the file at a resolved path."""
    check_not_withheld(tree, real)
    with tree.open(real) as file:
        return _preview(real, file)


def check(caller: Caller, job: Job) -> None:
    """`Forbidden` for who may not read files there, `TooMany` for who has just read many."""
    if not may(caller, "job.files", job.team):
        raise forbidden("job.files")
    rate_limits.allow(caller, "files.look", LOOKS_PER_MINUTE)


def check_not_withheld(tree: Tree, real: bytes) -> None:
    """`Refused` for a file of a job that holds secrets, whichever way it is reached."""
    folder, name = posixpath.split(tree.absolute(real))
    if name in _WITHHELD and posixpath.dirname(folder).endswith(b"/" + _JOBS):
        where = "the tab Log" if name == b"log" else "the tab Config"
        raise Refused(
            f"{shown(name)} of a job may hold secret values and is not shown; see {where}."
        )


def note_download(caller: Caller, job: Job, root: Root, path: bytes) -> None:
    with transaction.atomic():
        audit.record(caller, "job.file_download", job, root=root, path=shown(path))


def tree_of(machine: browse.Machine, job: Job, root: Root) -> Tree:
    """The folder over a log-in that is there; `Refused` if the project has none."""
    if root == "job":
        return machine.tree(b"/".join((_JOBS, str(job.pk).encode())))
    try:
        folder = projects.folder_of(job.project, machine.session)
    except SiteError as error:
        raise Refused(error.detail) from error
    return machine.tree(folder.encode())


def _preview(path: bytes, file: browse.File) -> Preview:
    if file.size > PREVIEW_BYTES:
        return Preview(path, file.size, why_not="It is larger than 1 MiB.")
    data = file.read(0, PREVIEW_BYTES)
    if b"\x00" in data:
        return Preview(path, file.size, why_not="It is not text.")
    text = data.decode("utf-8", "replace").replace("\r\n", "\n")
    return Preview(path, file.size, text=text.translate(_CONTROLS))
