"""A database connection that belongs to one thread, outside the pool that all others share.

Who keeps a promise by the clock – the thread that renews a keeper's leases, the one that takes
deliveries – must not wait until a request or a task gives a connection back.
"""

from django.db import DEFAULT_DB_ALIAS, connections


def take() -> None:
    """From here on the calling thread speaks to the database over a connection of its own.

    It is opened with the first query, kept between queries, and opened anew when it broke.
    `give_back` it at the thread's end.
    """
    own = connections[DEFAULT_DB_ALIAS]
    own.close()
    options = {
        name: value for name, value in own.settings_dict["OPTIONS"].items() if name != "pool"
    }
    own.settings_dict = {**own.settings_dict, "OPTIONS": options, "CONN_MAX_AGE": None}


def give_back() -> None:
    """Close it; a later query of this thread would open it again."""
    connections[DEFAULT_DB_ALIAS].close()
