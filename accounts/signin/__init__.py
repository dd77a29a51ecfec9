"""Logging in: forms, the organisation's provider, sessions, and the first administrator."""
