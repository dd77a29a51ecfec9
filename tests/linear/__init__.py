"""Text from machines and jobs costs time in proportion to its length, whatever it says."""
