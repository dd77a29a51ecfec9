"""`python -m dgxsite_client` is `dgxsite`."""

import sys

from dgxsite_client.commands import main

sys.exit(main())
