"""Bring every stored secret of machines under the newest encryption key while the site runs."""

from connections.models import Connection
from core.security.key_rotation import Rotated, rotate_rows


def rotate_all() -> Rotated:
    """Rows in the trash are rotated too: they may come back."""
    return rotate_rows(Connection.objects.all(), Connection.secret_contexts)
