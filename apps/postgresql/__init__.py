"""Django's way to PostgreSQL, with an end to its patience."""
