"""Secrets at rest, names that hide a value, and where the site may be sent."""
