"""A file of a job's machine as an answer: read piece by piece, while the browser takes them.

The log-in stays open for as long as that takes, at most `LONGEST_SECONDS`. What the browser has
been promised is the size at the beginning: a file that shrinks, or a link that breaks, ends the
answer short, which every browser notices.
"""

from collections.abc import AsyncGenerator
from contextlib import ExitStack, suppress
from urllib.parse import quote

from django.http import StreamingHttpResponse

from connections.files import browse
from connections.files.folders import NotReached
from core.web import streaming
from jobs.files import access
from jobs.models import Job

PIECE_BYTES = 1024 * 1024
LONGEST_SECONDS = 4 * 3600.0
# A machine that sends nothing for so long is given up: a thread waits for it.
PATIENCE_SECONDS = 60.0


def response(job: Job, root: access.Root, path: bytes, person: int) -> StreamingHttpResponse:
    """The bytes of the file at `path`.

    Raises as `connections.files.browse` before the first one, and `TooMany` when `person` has
    enough.
    """
    with ExitStack() as opening:
        opening.enter_context(streaming.DOWNLOADS.take(person))
        machine = opening.enter_context(browse.opened(job.connection, seconds=LONGEST_SECONDS))
        tree = access.tree_of(machine, job, root)
        real = tree.resolve(path)
        access.check_not_withheld(tree, real)
        file = opening.enter_context(tree.open(real))
        machine.sftp.be_patient(PATIENCE_SECONDS)
        # The log-in ends first: who still reads lets go, and nobody asks a slow machine.
        opening.callback(machine.session.close)
        owned = ExitStack()
        owned.enter_context(suppress(NotReached))
        owned.push(opening.pop_all())
    answer = streaming.answer(
        _pieces(file),
        owned,
        content_type="application/octet-stream",
        disposition=_attachment(real),
    )
    answer.headers["Content-Length"] = str(file.size)
    return answer


async def _pieces(file: browse.File) -> AsyncGenerator[bytes]:
    offset = 0
    while piece := await streaming.in_thread(file.read, offset, PIECE_BYTES):
        yield piece
        offset += len(piece)


def _attachment(path: bytes) -> str:
    """The name as RFC 6266 writes it: plain letters for the old, the bytes for all others."""
    name = path.rsplit(b"/", 1)[-1]
    plain = "".join(
        c if c.isascii() and (c.isalnum() or c in "-_. ") else "-" for c in name.decode("latin-1")
    )
    text = name.decode("utf-8", "replace")
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(text, safe='')}"
