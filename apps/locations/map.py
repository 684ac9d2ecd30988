"""Locations on a map without a map service: the database counts them by the cells of a grid, however many there are.

What is drawn is one marker a cell, so never more than COLUMNS by ROWS; a cell of one location is that location.
Degrees are WGS 84, heights on the picture are those of web Mercator, in degrees too (see static/office/world.svg).
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

from django.db.models import Count, Exists, F, FloatField, Max, Min, OuterRef, Q
from django.db.models.functions import Cast, Floor, Least

from .models import Evse, Location
from .routes import shown_once

COLUMNS, ROWS = 12, 9
SHAPE = COLUMNS / ROWS
NARROWEST = 0.02
"""Degrees of longitude that a map shows at least: about a kilometre, and what the coast lines are good for."""
EDGE = 80.0
"""Beyond this latitude nobody charges, and Mercator has no end."""
WORLD = (-180.0, -EDGE, 180.0, EDGE)
BUSY = ("CHARGING", "RESERVED", "BLOCKED")
DOWN = ("OUTOFORDER", "INOPERATIVE", "PLANNED", "REMOVED")


class Box(NamedTuple):
    """A part of the earth, in degrees."""

    west: float
    south: float
    east: float
    north: float

    @classmethod
    def read(cls, text: str) -> "Box | None":
        """A box as addresses spell it, `west,south,east,north`; None for what is none.

        >>> Box.read("17.9,59.2,18.2,59.4")
        Box(west=17.9, south=59.2, east=18.2, north=59.4)
        >>> Box.read("1,2,3"), Box.read("3,0,1,2"), Box.read("nan,0,1,2")
        (None, None, None)
        """
        try:
            box = cls(*map(float, text.split(",")))
        except (TypeError, ValueError):
            return None
        is_one = -180 <= box.west <= box.east <= 180 and -90 <= box.south <= box.north <= 90
        return box if is_one else None

    def __str__(self) -> str:
        return ",".join(f"{degrees:.6f}".rstrip("0").rstrip(".") for degrees in self)

    def widened(self) -> "Box":
        """With a margin around it."""
        right, up = (self.east - self.west) / 12 or NARROWEST, (self.north - self.south) / 12 or NARROWEST
        west, east = max(self.west - right, -180.0), min(self.east + right, 180.0)
        return Box(west, max(self.south - up, -EDGE), east, min(self.north + up, EDGE))


@dataclass(frozen=True)
class View:
    """What the picture shows: its middle, and how wide it is in degrees."""

    x: float
    y: float
    width: float

    @classmethod
    def around(cls, box: Box) -> "View":
        """The whole box, in the picture's shape."""
        top, bottom = height(box.north), height(box.south)
        width = max(box.east - box.west, (bottom - top) * SHAPE)
        return cls((box.west + box.east) / 2, (top + bottom) / 2, min(max(width, NARROWEST), 360.0))

    @property
    def height(self) -> float:
        return self.width / SHAPE

    @property
    def box(self) -> Box:
        x, y = self.width / 2, self.height / 2
        north, south = latitude(self.y - y), latitude(self.y + y)
        return Box(max(self.x - x, -180.0), max(south, -EDGE), min(self.x + x, 180.0), min(north, EDGE))

    @property
    def frame(self) -> str:
        """The picture's part of the world, as SVG spells it."""
        return f"{self.x - self.width / 2:.6f} {self.y - self.height / 2:.6f} {self.width:.6f} {self.height:.6f}"

    def moved(self, right: float = 0, down: float = 0, closer: float = 1) -> "View":
        """Another view, by parts of this one."""
        x, y = self.x + right * self.width, self.y + down * self.height
        width = min(max(self.width / closer, NARROWEST), 360.0)
        return View(min(max(x, -180.0), 180.0), min(max(y, height(EDGE)), height(-EDGE)), width)

    def place(self, longitude: float, latitude: float) -> tuple[float, float]:
        """Where on the picture a point is, in per cent from its left and its top."""
        right = (longitude - self.x) / self.width + 0.5
        down = (height(latitude) - self.y) / self.height + 0.5
        return round(100 * right, 2), round(100 * down, 2)


@dataclass(frozen=True)
class Marker:
    """A cell's locations, one of which is `first`; `left` and `top` are per cent of the picture."""

    left: float
    top: float
    count: int
    free: int
    state: str
    extent: Box
    first: Location

    @property
    def only(self) -> Location | None:
        """The location, if it is alone."""
        return self.first if self.count == 1 else None

    @property
    def can_be_parted(self) -> bool:
        """Whether a closer look would show them apart."""
        return max(self.extent.east - self.extent.west, self.extent.north - self.extent.south) > NARROWEST / COLUMNS


def height(latitude: float) -> float:
    """Web Mercator, in degrees, growing downwards.

    >>> round(height(59.33), 3), round(latitude(height(59.33)), 3)
    (-74.129, 59.33)
    """
    at = math.radians(min(max(latitude, -EDGE), EDGE))
    return -math.degrees(math.log(math.tan(math.pi / 4 + at / 2)))


def latitude(height: float) -> float:
    return math.degrees(2 * math.atan(math.exp(-math.radians(height))) - math.pi / 2)


def inside(box: Box, rows=None):
    """The locations of a box."""
    rows = Location.objects.all() if rows is None else rows
    return rows.filter(longitude__range=(box.west, box.east), latitude__range=(box.south, box.north))


def listed():
    """Those that their CPO still has, each by one route."""
    return shown_once(Location.objects.filter(vanished_at=None))


def whole() -> View:
    """A view of everything we know; of the world if that is nothing."""
    edges = inside(Box(*WORLD), listed()).aggregate(
        west=Min("longitude"), south=Min("latitude"), east=Max("longitude"), north=Max("latitude")
    )
    known = None not in edges.values()
    return View.around(Box(**{edge: float(at) for edge, at in edges.items()}).widened() if known else Box(*WORLD))


def markers(view: View) -> list[Marker]:
    """At most one for each cell of the picture, the fullest first."""
    cells = list(counted(view.box))
    rows = Location.objects.defer("body", "details", "content_hash").in_bulk([cell["first"] for cell in cells])
    return [marker(view, cell, rows[cell["first"]]) for cell in cells]


def counted(box: Box):
    """What the database knows of each cell."""
    shown = Evse.objects.filter(location=OuterRef("pk"), same_as=None)
    state = {name: Exists(shown.filter(status__in=statuses)) for name, statuses in
             {"is_free": ("AVAILABLE",), "is_busy": BUSY, "is_down": DOWN}.items()}  # fmt: skip
    rows = inside(box, listed()).annotate(
        column=cell_of("longitude", box.west, box.east, COLUMNS), row=cell_of("latitude", box.south, box.north, ROWS), **state
    )  # fmt: skip
    return rows.order_by().values("column", "row").annotate(
        count=Count("pk"), first=Min("pk"), free=Count("pk", filter=Q(is_free=True)), busy=Count("pk", filter=Q(is_busy=True)),
        down=Count("pk", filter=Q(is_down=True)), west=Min("longitude"), east=Max("longitude"), south=Min("latitude"),
        north=Max("latitude"),
    ).order_by("-count", "first")  # fmt: skip


def cell_of(column: str, low: float, high: float, cells: int):
    size = max(high - low, 1e-9) / cells
    return Least(Floor((Cast(F(column), FloatField()) - low) / size), cells - 1.0)


def marker(view: View, cell: dict, first: Location) -> Marker:
    extent = Box(*(float(cell[edge]) for edge in Box._fields))
    left, top = view.place((extent.west + extent.east) / 2, (extent.south + extent.north) / 2)
    return Marker(left, top, cell["count"], cell["free"], state_of(cell), extent, first)


def state_of(cell: dict) -> str:
    """The best that a driver finds there."""
    return next((state for state in ("free", "busy", "down") if cell[state]), "unknown")
