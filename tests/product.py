"""Where the product's source lies, for the tests that read it."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# Packages that run on a site; the simulator, measurements and tests do not.
PACKAGES = (
    *("core", "dgxsite", "accounts", "notifications", "connections", "metrics", "projects"),
    *("alerts", "exports", "usage", "jobs"),
)
