"""A database connection that belongs to one thread, outside the pool that all others share.

Who keeps a promise by the clock – the thread that renews a keeper's leases, the one that takes
deliveries, who looks whether the pool is used up – must not wait until a request or a task gives a
connection back.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import DEFAULT_DB_ALIAS, connections


@contextmanager
def held() -> Iterator[None]:
    """In this block the calling thread speaks to the database over a connection of its own.

    It is opened with the first query, kept between queries, and opened anew when it broke.
    """
    connections[DEFAULT_DB_ALIAS].close()
    own = connections.create_connection(DEFAULT_DB_ALIAS)
    options = {
        name: value for name, value in own.settings_dict["OPTIONS"].items() if name != "pool"
    }
    own.settings_dict = own.settings_dict | {"OPTIONS": options, "CONN_MAX_AGE": None}
    connections[DEFAULT_DB_ALIAS] = own
    try:
        yield
    finally:
        own.close()
        del connections[DEFAULT_DB_ALIAS]
