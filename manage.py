#!/usr/bin/env python
"""Django's commands; on a machine without any set-up they start the embedded servers they need."""

import os
import sys

from emsp import local


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "emsp.settings")
    try:
        local.prepare(sys.argv[1:])
    except local.FAILURES as problem:
        sys.exit(str(problem))
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
