"""What stands for a card, a contract or a person where nobody needs to know which: the same for the same (trust S41)."""

from django.utils.crypto import salted_hmac


def mark(text: str) -> str:
    """Eight characters that only whoever has SECRET_KEY could find the text of, by trying.

    Without regard to case, like the ids themselves.
    """
    return f"~{salted_hmac(__name__, text.upper(), algorithm='sha256').hexdigest()[:8]}"
