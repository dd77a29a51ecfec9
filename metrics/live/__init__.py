"""Samples as they come: decoded, sent to browsers, gathered into windows, and written."""
