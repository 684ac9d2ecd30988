"""What is sold and to whom it is charged, page by page."""

from . import documents, ledger, prices, runs, sellers, settlements

__all__ = ["documents", "ledger", "prices", "runs", "sellers", "settlements"]
