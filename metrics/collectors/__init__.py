"""Collectors: what a machine prints, turned into a `Sample`.

Pure functions over text and bytes: no Django, no SSH, no clock. `program` says what to run on a
machine, `stream.Collector` understands what comes back, every other file parses one tool.
"""
