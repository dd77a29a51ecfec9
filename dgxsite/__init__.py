"""The site: its floor that every app stands on, and its roof that joins them."""
