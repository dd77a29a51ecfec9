"""The site behind proxies: who called, over what, and whose word for it counts."""
