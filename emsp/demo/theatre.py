"""The demo in the terminal: the story as it goes, its figures, where to look, and the proof."""

import sys
from collections.abc import Sequence
from datetime import date

from django.conf import settings
from django.urls import reverse
from django.utils import timezone

from apps.billing.models import Held, Invoice
from apps.drivers.models import Driver
from emsp import local
from emsp.launch import Platform

from . import check, story
from .cast import Role
from .cpo import Operator, OperatorFailed
from .founding import CannotFound
from .sabotage import SABOTAGES
from .story import Stage, TooSlow
from .summary import summarise
from .world import SEED

WIDTH = 78


def open_stage(roles: Sequence[Role], months: int | None = None) -> Stage:
    folder = settings.DATA_DIR / "demo"
    world = story.world_of(folder, timezone.now(), months)
    return Stage(tuple(map(Operator, roles)), world, folder, say, show)


def perform(stage: Stage) -> bool:
    """Tell the story and print what came of it; False if it came to no end."""
    others = f", after {stage.world.length - 1} others" if stage.world.length > 1 else ""
    say(f"\nThe month is {stage.world.month:%B %Y}{others}, the seed {SEED}.\n")
    try:
        story.play(stage)
    except (TooSlow, OperatorFailed, CannotFound) as failure:
        sys.stderr.write(f"\n{failure}\n")
        return False
    say("")
    print_summary(stage.world.months)
    return True


def prove(stage: Stage, faults: tuple[int | None, ...]) -> bool:
    """Recount the figures as they are, and with each fault asked for. One fault alone counts as it comes out; of
    several, every planted one has to be found."""
    results = [_prove(stage, fault) for fault in faults]
    return results[0] if len(results) == 1 else results[0] and not any(results[1:])


def _prove(stage: Stage, fault: int | None) -> bool:
    say(f"\nRecount{f', sabotage {fault}: {SABOTAGES[fault].name}' if fault else ''}")
    ties_out, said = check.check(stage, stage.folder / f"check-{fault or 0}", fault)
    say("\n".join(f"  {line}" for line in said.splitlines()))
    return ties_out


def print_summary(months: list[date]) -> None:
    for section, part in summarise(months).items():
        if isinstance(part, dict):
            _print_section(section, part)
        elif isinstance(part, list):
            for row in part:
                _print_section(f"{section} {row['series']}", {name: row[name] for name in row if name != "series"})


def _print_section(section: str, part: dict) -> None:
    flat = [
        f"{name} {', '.join(f'{key} {value}' for key, value in figure.items())}"
        if isinstance(figure, dict)
        else f"{name} {figure}"
        for name, figure in part.items()
    ]
    lines, line = [], ""
    for figure in flat:
        if line and len(line) + len(figure) > WIDTH:
            lines.append(line)
            line = ""
        line += f"{' · ' if line else ''}{figure}"
    for number, text in enumerate([*lines, line]):
        say(f"  {section if number == 0 else '':<18}{text}")


def show_around(stage: Stage, platform: Platform) -> None:
    held = Held.objects.order_by("pk").values_list("cdr", flat=True).first()
    invoice = Invoice.objects.filter(period=stage.world.month).order_by("-line_count", "pk").first()
    driver = Driver.objects.filter(contracts__tokens__sessions__isnull=False).order_by("pk").first()
    month = f"{stage.world.month:%Y-%m}"
    export = f".venv/bin/python manage.py invoices export --period {month} --format csv --out invoices.csv"
    say(
        f"\n  Open {platform.admin_url} and log in as admin; the password is in {local.admin_file()}\n"
        f"    a driver          {_url(platform, 'drivers_driver_change', driver.pk)}\n"
        f"    a held CDR        {_url(platform, 'charging_cdr_change', held)}\n"
        f"    an invoice, PDF   {_url(platform, 'billing_invoice_change', invoice.pk)}\n"
        f"    the export        {export}\n"
        "\n  make demo-check recounts every figure above. Ctrl-C stops everything.\n"
    )


def _url(platform: Platform, name: str, pk: int) -> str:
    return f"{platform.url}{reverse(f'admin:{name}', args=[pk])}"


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def show(text: str) -> None:
    """How far it is, over the line before; only where somebody looks."""
    if sys.stdout.isatty():
        sys.stdout.write(f"\r    {text:<40}\r")
        sys.stdout.flush()
