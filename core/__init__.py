"""The floor: what every app stands on. Nothing here knows an app."""
