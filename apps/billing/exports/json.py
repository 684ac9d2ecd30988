"""Documents of a month as one JSON object, streamed line by line; money as decimal strings."""

import json
from collections.abc import Iterator
from datetime import date
from itertools import groupby

from .cells import written
from .rows import describe_document, describe_line, lines


def write(period: date) -> Iterator[str]:
    """`{"period", "documents": [{…, "lines": […]}]}`, a document at a time."""
    yield f'{{"period": "{period:%Y-%m}", "documents": ['
    for place, (invoice, its_lines) in enumerate(groupby(lines(period), key=lambda line: line.invoice)):
        document = describe_document(invoice) | {"lines": [describe_line(line) for line in its_lines]}
        yield (",\n" if place else "\n") + json.dumps(document, default=written, ensure_ascii=False)
    yield "\n]}\n"
