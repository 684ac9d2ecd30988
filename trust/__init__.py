"""Faults on purpose: real processes are killed, stopped and lied to, and what is left is held against a ledger."""
