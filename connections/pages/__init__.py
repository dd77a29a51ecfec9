"""The pages about machines."""
