"""One run as a whole: a page to read, and a bundle to take away."""
