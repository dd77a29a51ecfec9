"""Logs of jobs: kept, searched, shown and downloaded."""
