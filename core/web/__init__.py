"""What one request or download may hold, for how long, and what every answer carries."""
