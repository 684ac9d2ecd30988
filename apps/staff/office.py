"""What all pages of the back office share: lists that stay cheap, tables of related rows, and acts that ask first.

Admin modules are doors: they say what is shown and which room does an act, and this is the frame they say it in.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from functools import wraps
from itertools import islice
from urllib.parse import urlencode

import msgspec
import pghistory
from django.contrib import messages
from django.contrib.admin import SimpleListFilter
from django.contrib.admin.checks import ModelAdminChecks
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Model, Q, URLField
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.functional import cached_property
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import action
from unfold.enums import ActionVariant
from unfold.forms import BaseDialogForm
from unfold.views import ChangeList

from apps.money import minor_unit

MOST_COUNTED = 10_000
"""A list counts its rows up to here and says "more than" beyond: nobody turns 200 pages, and counting a million is slow."""

LONGEST = 200
"""Characters of a text in a list; its own page has it all."""

SHOWN = 10
"""Rows of a related table; the list behind its link has the rest."""


class Refused(Exception):
    """An act that a room refused, in words for the person who wanted it."""


class BoundedPaginator(Paginator):
    """Counts no further than MOST_COUNTED."""

    template_name = "admin/pagination_bounded.html"

    @cached_property
    def count(self) -> int:
        rows = self.object_list
        return rows.order_by()[: MOST_COUNTED + 1].count() if hasattr(rows, "order_by") else len(rows)

    @property
    def is_more(self) -> bool:
        return self.count > MOST_COUNTED


@dataclass
class Table:
    """Related rows on a page. `model` says whose permission it needs; `more` is the address of the whole list."""

    title: str
    model: type[Model]
    headers: list[str]
    rows: Iterable[list]
    more: str = ""
    empty: str = "None."
    shown: list[list] = field(default_factory=list)
    has_more: bool = False

    def read(self) -> "Table":
        rows = list(islice(self.rows, SHOWN + 1)) if self.more else list(self.rows)
        self.has_more = bool(self.more) and len(rows) > SHOWN
        self.shown = [[beginning(cell) for cell in row] for row in (rows[:SHOWN] if self.more else rows)]
        return self


def beginning(cell):
    """Of a long text how it begins, as in lists; what is markup of ours stays whole."""
    is_text = isinstance(cell, str) and not isinstance(cell, SafeString)
    return Truncator(cell).chars(LONGEST) if is_text and len(cell) > LONGEST else cell


class Listing(ChangeList):
    """A list says how many rows it has at its foot, where the count knows where it stopped; of long texts it shows how
    they begin."""

    def get_results(self, request):
        super().get_results(request)
        self.full_result_count = self.result_count
        for row in self.result_list:
            shorten(row)


def shorten(row: Model, *holders: Model) -> None:
    """Of its long texts how they begin, and of those of the rows that were read with it and do not hold it."""
    vars(row).update({name: beginning(value) for name, value in vars(row).items() if isinstance(value, str)})
    for joined in row._state.fields_cache.values():
        if joined is not None and joined not in holders:
            shorten(joined, row, *holders)


class Page(ModelAdmin):
    """A page of the back office. Rows are never deleted here: what is over is ended, blocked or dismissed."""

    checks_class = ModelAdminChecks  # Unfold's asks the database for the permissions of acts, before there is one
    paginator = BoundedPaginator
    show_full_result_count = False
    list_per_page = 50
    list_max_show_all = 0
    list_fullwidth = True
    compressed_fields = False
    page_select_related: tuple[str, ...] = ()
    change_form_outer_after_template = "admin/tables.html"
    empty_value_display = "–"

    def get_changelist(self, request, **kwargs):
        return Listing

    def get_queryset(self, request):
        """What a row's own page joins is `page_select_related`, else what the list does."""
        joined = self.page_select_related if is_of_one(request) else ()
        return super().get_queryset(request).select_related(*joined or self.list_select_related or ())

    def has_add_permission(self, request, obj=None) -> bool:
        return super().has_add_permission(request)

    def has_delete_permission(self, request, obj=None) -> bool:
        return False

    def formfield_for_dbfield(self, db_field, request, **kwargs):
        """An address typed without its scheme is https."""
        if isinstance(db_field, URLField):
            kwargs["assume_scheme"] = "https"
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def get_tables(self, request: HttpRequest, row: Model) -> Iterable[Table]:
        """Related rows to show below the fields."""
        return ()

    def render_change_form(self, request, context, add=False, change=False, form_url="", obj=None):
        tables = self.get_tables(request, obj) if obj else ()
        context["tables"] = [table.read() for table in tables if may_view(request, table.model)]
        context["show_save_and_add_another"] = False
        return super().render_change_form(request, context, add, change, form_url, obj)

    def render(self, request: HttpRequest, template: str, title: str, **context) -> TemplateResponse:
        """A page of its own inside the frame of this model's pages."""
        frame = self.admin_site.each_context(request) | {"opts": self.opts, "title": title, "media": self.media}
        return TemplateResponse(request, template, frame | context)

    def list_url(self) -> str:
        return url_of(self.model)

    def require(self, request: HttpRequest, permission: str) -> None:
        if not request.user.has_perm(permission):
            raise PermissionDenied


class Rows(TabularInline):
    """Rows that are changed on the page of what they belong to. Each field says its name to who cannot see its column."""

    extra = 0
    can_delete = False

    def formfield_for_dbfield(self, db_field, request, **kwargs):
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field is not None:  # an id is no field
            field.widget.attrs["aria-label"] = str(field.label)
        return field


class Record(Page):
    """A page of rows that are written elsewhere: by partners, by the platform, or once and for all."""

    def has_add_permission(self, request, obj=None) -> bool:
        return False

    def has_change_permission(self, request, obj=None) -> bool:
        return False


class Conditions(SimpleListFilter):
    """A list by one of some conditions, each a word in the address, a label and what rows it leaves."""

    conditions: dict[str, tuple[str, Callable[[], Q]]] = {}

    def lookups(self, request, model_admin):
        return [(name, label) for name, (label, _) in self.conditions.items()]

    def queryset(self, request, queryset):
        chosen = self.conditions.get(self.value())
        return queryset.filter(chosen[1]()) if chosen else queryset


def is_of_one(request: HttpRequest) -> bool:
    """Whether a page of one row is asked for, not the list."""
    return "object_id" in request.resolver_match.kwargs


def once(method: Callable):
    """A field worked out once for a page: the frame's templates ask for it five times."""

    @wraps(method)
    def remembered(self, row):
        known = row.__dict__.setdefault("_remembered", {})
        if method.__name__ not in known:
            known[method.__name__] = method(self, row)
        return known[method.__name__]

    return remembered


def may_view(request: HttpRequest, model: type[Model]) -> bool:
    return request.user.has_perm(f"{model._meta.app_label}.view_{model._meta.model_name}")


def act(
    description: str,
    *,
    permission: str,
    question: str,
    form: type[BaseDialogForm] = BaseDialogForm,
    button: str = "",
    icon: str | None = None,
    variant: ActionVariant = ActionVariant.DEFAULT,
):
    """A button on a row's page. It asks `question` first, so that only a POST with a token of ours does anything.

    The decorated method gets (self, request, row, form) and returns what to say; Refused is said as an error.
    """

    def decorate(method: Callable):
        @wraps(method)
        def answer(self, request, form, object_id):
            row = self.get_object(request, object_id)
            if row is None:
                raise Http404
            _keep_reason(form)
            try:
                said = method(self, request, row, form)
            except Refused as refused:
                messages.error(request, str(refused))
            else:
                if isinstance(said, HttpResponse):
                    return said
                messages.success(request, said)
            return go(request, url_of(row))

        dialog = {
            "title": description,
            "description": question,
            "form_class": form,
            "form_submit_text": button or description,
        }
        path = method.__name__.replace("_", "-")
        return action(
            permissions=[permission], description=description, url_path=path, icon=icon, variant=variant, dialog=dialog
        )(answer)

    return decorate


def _keep_reason(form: BaseDialogForm) -> None:
    """Beside whatever the act changes, where it asks for one (trust S49)."""
    if reason := form.cleaned_data.get("reason"):
        pghistory.context(reason=reason)


def go(request: HttpRequest, url: str) -> HttpResponse:
    """Leave a dialog for a page: the dialog's script follows a header, a plain form a redirect."""
    if "HX-Request" in request.headers:
        return HttpResponse(headers={"HX-Redirect": url})
    return redirect(url)


def url_of(row: Model | type[Model], **filters) -> str:
    """The page of a row, or the list of a model with filters."""
    name = f"admin:{row._meta.app_label}_{row._meta.model_name}_"
    if isinstance(row, Model):
        return reverse(name + "change", args=[row.pk])
    return reverse(name + "changelist") + (f"?{urlencode(filters)}" if filters else "")


def link(row: Model | None, text: object = None) -> str:
    """A row as a link to its page; whatever a partner wrote into it is only text."""
    if row is None:
        return "–"
    return format_html('<a class="text-link" href="{}">{}</a>', url_of(row), row if text is None else text)


def links(rows: Iterable[Model]) -> str:
    return format_html_comma(link(row) for row in rows)


def format_html_comma(parts: Iterable[str]) -> str:
    return format_html_join(", ", "{}", ((part,) for part in parts)) or "–"


COLOURS = {
    "good": "bg-green-100 text-green-700 dark:bg-green-500/20 dark:text-green-400",
    "bad": "bg-red-100 text-red-700 dark:bg-red-500/20 dark:text-red-400",
    "odd": "bg-orange-100 text-orange-700 dark:bg-orange-500/20 dark:text-orange-400",
    "new": "bg-blue-100 text-blue-700 dark:bg-blue-500/20 dark:text-blue-400",
    "": "bg-base-500/8 text-base-700 dark:bg-base-500/20 dark:text-base-200",
}


def badge(text: object, kind: str = "") -> str:
    """A state as a coloured word; `kind` is good, bad, odd, new or nothing."""
    shape = (
        "badge inline-block font-semibold rounded-default text-[11px] uppercase whitespace-nowrap h-6 leading-6 px-2"
    )
    return format_html('<span class="{} {}">{}</span>', shape, COLOURS[kind], text)


def grouped(count: int) -> str:
    return number_format(count, force_grouping=True)


def money(amount: Decimal | None, currency: str) -> str:
    """An amount rounded to the currency's minor unit, for reading only."""
    if amount is None:
        return "–"
    places = -minor_unit(currency).as_tuple().exponent
    text = number_format(abs(amount), decimal_pos=places, force_grouping=True)
    negative = amount < 0 and text.strip("0.,\u00a0 ")
    return format_html('<span class="whitespace-nowrap">{}{}\u00a0{}</span>', "−" if negative else "", text, currency)


def quantity(amount: Decimal | None, unit: str = "", places: int = 3) -> str:
    """A quantity without needless zeros."""
    if amount is None:
        return "–"
    text = number_format(round(amount, places).normalize() + 0, force_grouping=True)
    return f"{text}\u00a0{unit}".strip()


def moment(at: datetime | None) -> str:
    """A time as people of the office read it, in the office's zone."""
    if at is None:
        return "–"
    return format_html('<span class="whitespace-nowrap">{}</span>', f"{timezone.localtime(at):%Y-%m-%d %H:%M}")


def day(at) -> str:
    return date_format(at, "Y-m-d") if at else "–"


def ago(at: datetime | None, now: datetime) -> str:
    """How long ago, in the largest unit that says enough.

    >>> from datetime import UTC
    >>> ago(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, 3, tzinfo=UTC))
    '3 h ago'
    """
    return f"{long(now - at)} ago" if at else "never"


def long(span: timedelta) -> str:
    """A length of time in whole days, hours, minutes or seconds."""
    seconds = max(0, int(span.total_seconds()))
    for length, unit in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * length or (unit != "days" and seconds >= length):
            return f"{seconds // length} {unit}"
    return f"{seconds} s"


def indented(body: bytes | memoryview) -> str:
    """A body as text; JSON is indented and otherwise as it was sent, every number to its last zero."""
    try:
        return msgspec.json.format(bytes(body), indent=2).decode()
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return bytes(body).decode("utf-8", "replace")


def reading(body: bytes | memoryview | None) -> str:
    """A body to look at."""
    return format_html('<pre class="as-sent" tabindex="0">{}</pre>', indented(body)) if body else "–"
