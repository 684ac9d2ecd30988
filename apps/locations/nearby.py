"""Locations near a point, the nearest first: found by an index, however many there are.

The index knows boxes of degrees, so those around the point are looked into, and what is in their corners left out.
Distances are those on a sphere: half a per cent from the truth at most.
"""

import math
from collections.abc import Iterator
from functools import reduce
from operator import or_
from typing import NamedTuple

from django.db.models import F, FloatField, QuerySet
from django.db.models.functions import ASin, Cast, Cos, Least, Power, Radians, Sin, Sqrt

from .map import Box, inside

EARTH_M = 6_371_008.8
"""Mean radius."""


class Point(NamedTuple):
    """In degrees, WGS 84."""

    latitude: float
    longitude: float


def near(point: Point, radius_m: float, rows: QuerySet) -> QuerySet:
    """Of these locations what is there still and within so many metres, each with its `distance_m`."""
    found = reduce(or_, (inside(box, rows) for box in around(point, radius_m))).filter(vanished_at=None)
    return found.annotate(distance_m=distance_from(point)).filter(distance_m__lte=radius_m).order_by("distance_m", "pk")


def around(point: Point, radius_m: float) -> Iterator[Box]:
    """The box that holds the circle; two where it crosses the date line.

    >>> [str(box) for box in around(Point(60.0, 18.0), 111_195.08)]
    ['15.999695,59,20.000305,61']
    >>> [str(box) for box in around(Point(0.0, 180.0), 111_195.08)]
    ['179,-1,180,1', '-180,-1,-179,1']
    >>> [str(box) for box in around(Point(89.9, 18.0), 111_195.08)]
    ['-180,88.9,180,90']
    """
    tall = math.degrees(radius_m / EARTH_M)
    south, north = max(point.latitude - tall, -90.0), min(point.latitude + tall, 90.0)
    if max(-south, north) >= 90:
        yield Box(-180.0, south, 180.0, north)
        return
    wide = math.degrees(math.asin(math.sin(radius_m / EARTH_M) / math.cos(math.radians(point.latitude))))
    west, east = point.longitude - wide, point.longitude + wide
    yield Box(max(west, -180.0), south, min(east, 180.0), north)
    if west < -180:
        yield Box(west + 360, south, 180.0, north)
    if east > 180:
        yield Box(-180.0, south, east - 360, north)


def distance_from(point: Point):
    """Metres along the sphere: the haversine formula, which is exact also for what is close."""
    latitude, longitude = (Radians(Cast(F(name), FloatField())) for name in Point._fields)
    up, right = latitude - math.radians(point.latitude), longitude - math.radians(point.longitude)
    shared = Cos(latitude) * math.cos(math.radians(point.latitude))
    chord = Power(Sin(up / 2.0), 2) + shared * Power(Sin(right / 2.0), 2)
    return 2 * EARTH_M * ASin(Sqrt(Least(chord, 1.0)))
