"""`make lists`: write the lists in docs/ that are made from the code."""

from emsp import local

if __name__ == "__main__":
    local.ensure(broker=False)
    local.set_up_django()
    from tests.security import controls, inventory

    for listed in (controls, inventory):
        listed.FILE.write_text(listed.table())
