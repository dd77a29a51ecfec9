"""A fleet of fake GPU machines behind real SSH servers, for the demo, the tests and the benchmarks.

This file imports nothing on purpose: the fake tools import from this package at every start.
"""
