"""Wake the keepers for machines whose rows have changed, and show these to who watches them."""

from connections import broadcast
from core.background.wakeup import KEEPERS, Wakeup

wake_keepers = Wakeup("connections.look_at", KEEPERS, show=broadcast.connections)
