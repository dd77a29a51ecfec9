"""Where a secret could turn up, recorded while the site works: logs, Redis, processes."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil
import redis
from django.conf import settings
from redis.client import Monitor

from dgxsite.logs import LineFormatter, OneLine


@contextmanager
def logs() -> Iterator[list[str]]:
    """Every line as the site would write it, with every logger at DEBUG, tracebacks included."""
    lines: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(self.format(record))

    handler = Keep(logging.DEBUG)
    handler.setFormatter(LineFormatter())
    handler.addFilter(OneLine())
    loggers = [logging.getLogger(), *map(logging.getLogger, logging.root.manager.loggerDict)]
    before = [(logger, logger.level) for logger in loggers]
    logging.root.addHandler(handler)
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
    try:
        yield lines
    finally:
        logging.root.removeHandler(handler)
        for logger, level in before:
            logger.setLevel(level)


@contextmanager
def redis_traffic() -> Iterator[list[str]]:
    """Every command that anybody sends to Redis: caches, samples, topics and Celery's messages."""
    # The site is silent for longer than the client's own patience.
    client = redis.Redis.from_url(settings.REDIS_SAMPLES_URL, socket_timeout=None)
    seen: list[str] = []
    with client.monitor() as monitor:
        reader = threading.Thread(target=_read, args=(monitor, seen), daemon=True)
        reader.start()
        yield seen
        client.set("the-last-command", "1")
        reader.join(10)
        assert not reader.is_alive(), "Redis never told of the last command"
    client.close()


def _read(monitor: Monitor, seen: list[str]) -> None:
    for command in monitor.listen():
        seen.append(str(command["command"]))
        if "the-last-command" in seen[-1]:
            return


# The command that reads a whole value, by its type; None stands for the key.
_READERS: dict[str, tuple[str | None, ...]] = {
    "string": ("GET", None),
    "hash": ("HGETALL", None),
    "list": ("LRANGE", None, "0", "-1"),
    "set": ("SMEMBERS", None),
    "zset": ("ZRANGE", None, "0", "-1"),
    "stream": ("XRANGE", None, "-", "+"),
}


def redis_content() -> list[str]:
    """Every key and value of every database, as stored."""
    found = []
    client = redis.Redis.from_url(settings.REDIS_SAMPLES_URL)
    for number in range(16):
        client.execute_command("SELECT", number)
        for key in client.scan_iter():
            read = _READERS[
                client.execute_command("TYPE", key).decode()
            ]  # a dump would be compressed
            found.append(f"{key!r} {client.execute_command(*(word or key for word in read))!r}")
    client.close()
    return found


@contextmanager
def processes() -> Iterator[set[str]]:
    """Command line and environment of every process below this one, looked at again and again."""
    seen: set[str] = set()
    done = threading.Event()
    watcher = threading.Thread(target=_watch, args=(seen, done.is_set), daemon=True)
    watcher.start()
    try:
        yield seen
    finally:
        done.set()
        watcher.join(10)


def _watch(seen: set[str], is_done: Callable[[], bool]) -> None:
    while not is_done():
        for child in psutil.Process().children(recursive=True):
            try:
                seen.add(" ".join(child.cmdline()))
                seen.update(f"{name}={value}" for name, value in child.environ().items())
            except psutil.Error:
                continue
