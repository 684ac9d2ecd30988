"""A charge point operator to play with: a stranger who speaks OCPI over HTTP and imports nothing of ours."""
