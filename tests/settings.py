"""The product's settings over private servers, with a cheap password hash."""

import os

from cryptography.fernet import Fernet

from tests import servers

DIRECTORY = servers.start()
os.environ["DGX_DATA_DIR"] = str(DIRECTORY / "data")
os.environ["DGX_SECRET_KEY"] = "for-tests-" + Fernet.generate_key().decode()
os.environ["DGX_ENCRYPTION_KEYS"] = Fernet.generate_key().decode()
os.environ["DGX_ALLOWED_HOSTS"] = "testserver,localhost,127.0.0.1"
for name in ("DGX_ALLOW_LOOPBACK", "DGX_BASE_URL", "DGX_DEMO", "DGX_HOLDS_LOCAL"):
    os.environ.pop(name, None)

from dgxsite.settings import *  # noqa: E402, F403
from dgxsite.settings import DATABASES, STORAGES  # noqa: E402

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
# A pool keeps connections open that the tests' teardown would wait for.
DATABASES["default"]["OPTIONS"].pop("pool")
STORAGES["staticfiles"] = {
    "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage",
}

# Nothing is collected for the tests; the directory only has to be there.
STATIC_ROOT = DIRECTORY / "staticfiles"
STATIC_ROOT.mkdir()
