"""`make lists`: write the lists in docs/ that are made from the code."""

import os

import django

from emsp import local

if __name__ == "__main__":
    local.ensure(broker=False)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "emsp.settings")
    django.setup()
    from tests.security import controls, inventory

    for listed in (controls, inventory):
        listed.FILE.write_text(listed.table())
