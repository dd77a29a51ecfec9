"""The history in three tiers: its tables, what is written into them, and how it is read."""
