"""What browsers are told about our pages, beyond what Django's own middlewares tell them (trust S38)."""

POLICY = (
    "default-src 'self'; "
    "script-src 'self' 'unsafe-eval'; "  # the admin's frame works with Alpine, which reads expressions from the page
    "style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
"""Should a text of a stranger ever become part of a page, it loads nothing, posts nowhere and tells nobody."""


class ContentPolicy:
    """Says so on every page; a PDF is left to the browser's own reader."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        response = self.get_response(request)
        if response.headers.get("Content-Type", "").startswith("text/html"):
            response.headers.setdefault("Content-Security-Policy", POLICY)
        return response
