"""What goes to a machine for its jobs, and what its answers mean."""
