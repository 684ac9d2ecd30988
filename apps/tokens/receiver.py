"""Tokens: the list of ours, and the question whether a card may charge (mod_tokens, Sender Interface)."""
