"""The pages that show readings."""
