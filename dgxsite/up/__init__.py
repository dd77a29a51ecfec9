"""`manage.py up`: the whole site on one machine, and copies of its database."""
