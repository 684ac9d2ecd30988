"""Walking through a peer's pages: on its Links, on its origin, and never for ever."""

import json
import re
import time
from types import SimpleNamespace

import pytest

from apps.ocpi import client, paging
from apps.ocpi.errors import PeerFailed
from apps.ocpi.paging import Crawl, Page, next_link, origin
from tests.ocpi.conftest import said

URL = "https://cpo.test/ocpi/cdrs?offset=0"
NEXT = "https://cpo.test/ocpi/cdrs?offset=50&limit=50"


@pytest.mark.parametrize(
    ("header", "url"),
    [
        (f'<{NEXT}>; rel="next"', NEXT),
        (f"<{NEXT}>; rel=next", NEXT),
        (f'<{NEXT}>;rel="next"', NEXT),
        (f"< {NEXT} > ; REL = Next", NEXT),
        (f'<{NEXT}>; title="a, b"; rel="next"', NEXT),
        (f'<{NEXT}>; rel="last next"', NEXT),
        (f'<https://cpo.test/first>; rel="first", <{NEXT}>; rel="next"', NEXT),
        (f'<{NEXT}>; rel="next", <https://cpo.test/last>; rel="last"', NEXT),
        ('</ocpi/cdrs?offset=50&limit=50>; rel="next"', NEXT),
        ('<?offset=50&limit=50>; rel="next"', NEXT),
        ('<https://cpo.test/x?a=1,2>; rel="next"', "https://cpo.test/x?a=1,2"),
        ('<https://cpo.test/x>; rel="prev"', None),
        ('<https://cpo.test/x>; rel="nextish"', None),
        ('<https://cpo.test/x>; title="rel=next"', None),
        ("<https://cpo.test/x>", None),
        (f'{NEXT}; rel="next"', None),
        ('<>; rel="next"', None),
        ("", None),
        ("<" * 100_000, None),
        ("<a>" + "; rel" * 20_000, None),
        ("<http://[>; rel=next", "http://["),
    ],
)
def test_the_link_of_any_shape_is_found(header, url):
    started = time.monotonic()
    assert next_link(header, URL) == url
    assert time.monotonic() - started < 1


def test_the_origin_is_scheme_host_and_port():
    assert origin("https://CPO.test/x") == origin("https://cpo.test:443/y") == ("https", "cpo.test", 443)
    assert origin("http://cpo.test/x") == ("http", "cpo.test", 80)


def page(*bodies, total=None, url=URL):
    return Page(list(bodies), total, url, None)


@pytest.mark.control("S23")
@pytest.mark.parametrize(
    "other",
    [
        *(
            "https://evil.test/x",
            "https://cpo.test.evil.test/x",
            "https://cpo.test@evil.test/x",
            "https://cpo.test:444/x",
        ),
        *("https://x.cpo.test/", "//evil.test/x", "ftp://cpo.test/x", "http://cpo.test:8080/x", "https://[/", "x"),
    ],
)
def test_a_link_to_another_origin_ends_the_walk(other):
    with pytest.raises(PeerFailed) as failed:
        Crawl(URL).following(page(b"1"), other)
    assert "the next page" in str(failed.value)


def test_a_peer_that_forgot_its_proxy_is_called_by_https_all_the_same():
    assert Crawl(URL).following(page(b"1"), "http://cpo.test/x?offset=50") == "https://cpo.test/x?offset=50"


def test_http_does_not_turn_into_another_port():
    with pytest.raises(PeerFailed):
        Crawl("https://cpo.test:8443/x").following(page(b"1"), "http://cpo.test:8080/x?offset=50")


def serve(server, pages, **headers):
    """`pages` by path: bodies and the Link; `{base}` is the server."""

    def answer(handler, request):
        bodies, link = pages[request.path]
        extra = {"Link": f'<{link.format(base=server.url(""))}>; rel="next"'} if link else {}
        handler.reply(said(json.dumps(bodies).encode()), **extra, **headers)

    server.answer = answer


def walk(peer, url, **params):
    """What was read until the end, or until the walk failed, and how it ended."""
    read = []
    try:
        for found in peer.pages(url, **params):
            read += [json.loads(body) for body in found.bodies]
    except PeerFailed as error:
        return read, str(error)
    return read, ""


def test_all_pages_are_read_with_the_bytes_of_each_object(server, peer):
    def answer(handler, request):
        link = {} if "p=2" in request.path else {"Link": f'<{server.url("/x?p=2")}>; rel="next"'}
        body = said(b'[ {"id": 1.0 , "id":1} ,\n "two",[3] ]' if link else b"[]")
        handler.reply(body, X_Total_Count="3", **link)

    server.answer = answer
    first, last = peer.pages(server.url("/x"), limit=3)
    assert first.bodies == [b'{"id": 1.0 , "id":1}', b'"two"', b"[3]"]
    assert (first.total, first.url, last.bodies) == (3, server.url("/x?limit=3"), [])
    assert first.timestamp.isoformat() == "2026-03-01T12:00:00+00:00"
    assert [request.path for request in server.requests] == ["/x?limit=3", "/x?p=2"]


def test_a_list_without_data_is_an_empty_one(server, peer):
    server.answer = lambda handler, request: handler.reply(said(b"null"))
    assert [found.bodies for found in peer.pages(server.url())] == [[]]


@pytest.mark.parametrize("total", ["-1", "many", "1e9", "9" * 400, ""])
def test_a_total_that_is_no_number_is_none(server, peer, total):
    server.answer = lambda handler, request: handler.reply(said(b"[1]"), X_Total_Count=total)
    assert [found.total for found in peer.pages(server.url())] == [None]


def test_an_object_where_a_list_belongs_is_a_failure(server, peer):
    server.answer = lambda handler, request: handler.reply(said(b"{}"))
    assert walk(peer, server.url())[1].startswith("no OCPI answer")


@pytest.mark.control("S34")
@pytest.mark.parametrize(
    "pages",
    [
        {"/a": ([1], "{base}/a")},
        {"/a": ([1], "{base}/b"), "/b": ([2], "{base}/a")},
        {"/a": ([1], "{base}/b"), "/b": ([2], "{base}/c"), "/c": ([3], "{base}/b")},
    ],
)
@pytest.mark.ocpi("TR-19")
def test_pages_that_lead_in_a_circle_end_with_what_was_read(server, peer, pages):
    serve(server, pages)
    read, error = walk(peer, server.url("/a"))
    assert sorted(read) == list(range(1, len(pages) + 1)) and error == "the pages lead in a circle"


@pytest.mark.control("S34")
def test_a_peer_that_ignores_the_offset_is_noticed(server, peer):
    def answer(handler, request):
        number = int(re.search(r"offset=(\d+)", request.path)[1])
        handler.reply(said(b"[1,2]"), Link=f'</x?offset={number + 2}>; rel="next"')

    server.answer = answer
    assert walk(peer, server.url("/x?offset=0")) == ([1, 2, 1, 2], "the pages lead in a circle")


def test_a_last_page_that_names_itself_is_the_last_page(server, peer):
    serve(server, {"/a": ([1, 2], "{base}/b"), "/b": ([3], "{base}/b")}, X_Total_Count="3")
    assert walk(peer, server.url("/a")) == ([1, 2, 3], "")


def test_a_page_that_comes_twice_is_not_taken_for_the_rest(server, peer):
    """The first page by its two names: of two objects one was never told."""
    serve(server, {"/a": ([1], "{base}/b"), "/b": ([1], "{base}/b")}, X_Total_Count="2")
    assert walk(peer, server.url("/a")) == ([1, 1], "the pages lead in a circle")


@pytest.mark.control("S34")
def test_empty_pages_may_follow_each_other_only_so_long(server, peer):
    def answer(handler, request):
        handler.reply(said(b"[]"), Link=f'<{request.path}0>; rel="next"')

    server.answer = answer
    assert walk(peer, server.url("/x?offset=1")) == ([], "the pages have no end")
    assert len(server.requests) == paging.MOST_EMPTY_PAGES + 1


@pytest.mark.control("S34")
def test_pages_without_end_have_one_all_the_same(server, peer, monkeypatch):
    monkeypatch.setattr(paging, "MOST_PAGES", 20)

    def answer(handler, request):
        number = int(re.search(r"p=(\d+)", request.path)[1])
        handler.reply(said(b"[%d]" % number), Link=f'</x?p={number + 1}>; rel="next"')

    server.answer = answer
    read, error = walk(peer, server.url("/x?p=0"))
    assert (read, error) == (list(range(20)), "the pages have no end")


@pytest.mark.control("S23")
@pytest.mark.ocpi("TR-19")
def test_a_foreign_link_gets_nothing_of_us(server, other_server, peer):
    serve(server, {"/a": ([1], other_server.url("/a"))})
    read, error = walk(peer, server.url("/a"))
    assert (read, other_server.requests) == ([1], []) and error.startswith(
        "the next page is elsewhere: http, 127.0.0.1"
    )


@pytest.mark.ocpi("TR-18")
def test_a_page_is_read_again_where_objects_before_it_went_away(server, peer):
    """Of five, two a page, the first is deleted after the first page: without looking back, 3 would be lost (TR-18)."""
    objects = [1, 2, 3, 4, 5]

    def answer(handler, request):
        offset = int(re.search(r"offset=(\d+)", request.path)[1])
        link = {"Link": f'</x?offset={offset + 2}&limit=2>; rel="next"'} if offset + 2 < len(objects) else {}
        handler.reply(said(json.dumps(objects[offset : offset + 2]).encode()), X_Total_Count=str(len(objects)), **link)
        if offset == 0 and 1 in objects:
            objects.remove(1)

    server.answer = answer
    read, error = walk(peer, server.url("/x"), offset=0, limit=2)
    assert error == "" and set(read) == {1, 2, 3, 4, 5}


def failing(server, times, fail):
    """Fails so many times, then answers."""

    def answer(handler, request):
        if len(server.requests) <= times:
            fail(handler)
        else:
            handler.reply(said(b"[1]"))

    server.answer = answer


def hang_up(handler):
    handler.close_connection = True


def test_a_page_that_got_lost_is_asked_for_again(server, peer):
    failing(server, 2, hang_up)
    assert walk(peer, server.url()) == ([1], "")
    assert len(server.requests) == 3


def test_a_page_that_always_gets_lost_fails(server, peer):
    failing(server, 9, hang_up)
    read, error = walk(peer, server.url())
    assert (read, len(server.requests)) == ([], client.TRIES) and "no answer" in error


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_peer_is_waited_for_as_long_as_it_asks(server, peer, monkeypatch, status):
    waited = []
    monkeypatch.setattr(client, "time", SimpleNamespace(sleep=waited.append, monotonic=time.monotonic))
    failing(server, 1, lambda handler: handler.reply(status=status, Retry_After="7"))
    assert (walk(peer, server.url()), waited) == (([1], ""), [7])


@pytest.mark.parametrize(("status", "header"), [(429, "600"), (429, ""), (500, ""), (404, "")])
def test_other_failures_are_left_to_whoever_asked(server, peer, status, header):
    failing(server, 1, lambda handler: handler.reply(status=status, Retry_After=header))
    read, error = walk(peer, server.url())
    assert (read, len(server.requests)) == ([], 1) and error.startswith(f"HTTP {status}")


def test_every_try_is_recorded(server, make_peer):
    calls = []
    failing(server, 1, hang_up)
    walk(make_peer(record=calls.append), server.url())
    assert [bool(call.error) for call in calls] == [True, False]
    assert len({call.request_id for call in calls}) == 2
