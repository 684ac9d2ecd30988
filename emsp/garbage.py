"""What Python's collector of cycles looks at in processes that stay: a quarter of the time of a pull was its."""

import gc


def leave_what_stays(**_signal) -> None:
    """What is loaded stays: the collector looks at what requests and tasks leave behind alone, and not after every 700
    objects."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 100)
