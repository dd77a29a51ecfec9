"""Who calls, how often, and whether a second factor is due."""
