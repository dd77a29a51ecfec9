"""Calls that nobody would think of, drawn from what the API says of itself."""
