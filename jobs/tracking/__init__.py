"""Numbers read from what jobs print: curves, names, energy. Pure."""
