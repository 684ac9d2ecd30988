"""Measurements of the hot paths, each beside a ceiling in the same run: `make bench`. Nothing here is part of the platform."""
