"""Who may start on which GPU, and why the others wait."""
