"""Bring the channels' addresses and secrets under the newest encryption key."""

from core.security.key_rotation import Rotated, rotate_rows
from notifications.models import Channel


def rotate_all() -> Rotated:
    return rotate_rows(Channel.objects.all(), Channel.secret_contexts)
