"""A proxy that ends TLS in front of the site, as the documents ask for: one thread, one port.

It adds `X-Forwarded-Proto` and passes the rest on, a connection per request; the certificate is its
own and lives for an hour.
"""

import asyncio
import contextlib
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_HEAD_END = b"\r\n\r\n"


@contextlib.contextmanager
def in_front_of(port: int, folder: Path) -> Iterator[str]:
    """The address of the proxy, `https://localhost:PORT`; `folder` takes key and certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(_certificate(folder))
    loop = asyncio.new_event_loop()
    # The test's own thread has a loop already: Playwright's.
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    start = asyncio.start_server(lambda *ends: _serve(port, *ends), "localhost", 0, ssl=context)
    server = asyncio.run_coroutine_threadsafe(start, loop).result(10)
    yield f"https://localhost:{server.sockets[0].getsockname()[1]}"
    asyncio.run_coroutine_threadsafe(_end(server), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()


async def _serve(port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        head = await reader.readuntil(_HEAD_END)
        site_reader, site_writer = await asyncio.open_connection("127.0.0.1", port)
        site_writer.write(_as_a_proxy_says(head))
        await asyncio.gather(_pipe(reader, site_writer), _pipe(site_reader, writer))
    except (OSError, asyncio.IncompleteReadError):
        writer.close()


def _as_a_proxy_says(head: bytes) -> bytes:
    lines = head.removesuffix(_HEAD_END).split(b"\r\n")
    if not any(line.lower().startswith(b"upgrade: websocket") for line in lines):
        lines = [line for line in lines if not line.lower().startswith(b"connection:")]
        lines.append(b"Connection: close")
    return b"\r\n".join((*lines, b"X-Forwarded-Proto: https")) + _HEAD_END


async def _pipe(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(65_536):
            target.write(data)
            await target.drain()
    target.close()


async def _end(server: asyncio.Server) -> None:
    server.close()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


def _certificate(folder: Path) -> Path:
    """Key and certificate of `localhost` in one file."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path = folder / "localhost.pem"
    path.write_bytes(pem + certificate.public_bytes(serialization.Encoding.PEM))
    return path
