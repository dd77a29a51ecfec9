"""Stored passwords and the server's own keys, and where each may be used."""
