"""Runs beside each other: as a table, a page and over the API."""
