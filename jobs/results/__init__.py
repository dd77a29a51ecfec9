"""What came of a run: its curves, what it used, and the figures of its page."""
