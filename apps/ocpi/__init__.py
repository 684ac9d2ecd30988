"""Speaks OCPI, stores nothing: bytes to canonical objects and back, in every version we know."""
