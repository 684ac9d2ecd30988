"""What is pulled of tariffs: all of them once a day; one that is no longer listed is deleted (TAR-02)."""

from apps.partners.pull import Pull
from apps.tariffs.store import INTAKE, MIRROR

PULL = Pull(INTAKE, vanish=MIRROR.vanish)
