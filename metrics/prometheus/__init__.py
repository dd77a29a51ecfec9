"""The latest samples for a Prometheus scraper."""
