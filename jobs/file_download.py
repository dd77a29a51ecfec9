"""A file of a job's machine as an answer: read piece by piece, while the browser takes them.

The log-in stays open for as long as that takes, at most `LONGEST_SECONDS`. What the browser has
been promised is the size at the beginning: a file that shrinks, or a link that breaks, ends the
answer short, which every browser notices.
"""

from contextlib import ExitStack, suppress
from urllib.parse import quote

from asgiref.sync import sync_to_async
from django.http import StreamingHttpResponse

from connections import browsing, ssh
from connections.folders import NotReached
from jobs import job_files
from jobs.models import Job

PIECE_BYTES = 1024 * 1024
LONGEST_SECONDS = 4 * 3600.0
# A machine that sends nothing for so long is given up: a thread waits for it.
PATIENCE_SECONDS = 60.0


def response(job: Job, root: job_files.Root, path: bytes) -> StreamingHttpResponse:
    """The bytes of the file at `path`; raises as `connections.browsing` before the first one."""
    with ExitStack() as stack:
        machine = stack.enter_context(browsing.opened(job.connection, seconds=LONGEST_SECONDS))
        tree = job_files.tree_of(machine, job, root)
        real = tree.resolve(path)
        job_files.check_not_withheld(tree, real)
        file = stack.enter_context(tree.open(real))
        machine.sftp.be_patient(PATIENCE_SECONDS)
        pieces = _Pieces(file, machine.session, stack.pop_all())
    answer = StreamingHttpResponse(pieces, content_type="application/octet-stream")
    answer.headers["Content-Length"] = str(file.size)
    answer.headers["Content-Disposition"] = _attachment(real)
    # A proxy in front would otherwise collect the whole file before it passes on a byte.
    answer.headers["X-Accel-Buffering"] = "no"
    return answer


class _Pieces:
    """What Django iterates over, and closes when it was sent or the browser has gone."""

    def __init__(self, file: browsing.File, session: ssh.Session, stack: ExitStack) -> None:
        self._file, self._session, self._stack, self._offset = file, session, stack, 0

    def __aiter__(self) -> "_Pieces":
        return self

    async def __anext__(self) -> bytes:
        read = sync_to_async(self._file.read, thread_sensitive=False)
        try:
            piece = await read(self._offset, PIECE_BYTES)
        except Exception:
            # Django does not close an answer that fails on the way.
            await sync_to_async(self.close, thread_sensitive=False)()
            raise
        if not piece:
            raise StopAsyncIteration
        self._offset += len(piece)
        return piece

    def close(self) -> None:
        """End the log-in first: who still reads lets go, and nobody asks a slow machine."""
        self._session.close()
        with suppress(NotReached):
            self._stack.close()


def _attachment(path: bytes) -> str:
    """The name as RFC 6266 writes it: plain letters for the old, the bytes for all others."""
    name = path.rsplit(b"/", 1)[-1]
    plain = "".join(
        c if c.isascii() and (c.isalnum() or c in "-_. ") else "-" for c in name.decode("latin-1")
    )
    text = name.decode("utf-8", "replace")
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(text, safe='')}"
