"""What `manage.py up --demo` puts into its own database."""
