"""Deliveries: claimed, sent by few threads, tried again, and channels that rest."""
