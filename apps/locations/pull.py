"""What is pulled of locations: all of them once a day, because EVSEs and locations vanish without a word (LOC-04)."""

from apps.locations.store import INTAKE, MIRROR
from apps.partners.pull import Pull

PULL = Pull(INTAKE, vanish=MIRROR.vanish)
