"""What is pushed to browsers: who may listen, what they hear, and how fast."""
