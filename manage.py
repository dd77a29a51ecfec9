#!/usr/bin/env python
"""Run a management command, for example `python manage.py up`."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dgxsite.settings")
    from django.core.management import execute_from_command_line
    from django.db import OperationalError

    try:
        execute_from_command_line(sys.argv)
    except OperationalError as error:
        sys.exit(f"The database does not answer; is the site running (make run)? {error}")


if __name__ == "__main__":
    main()
