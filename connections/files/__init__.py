"""Folders and files of a machine: looked at, checked, and put there."""
