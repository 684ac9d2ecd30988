"""python -m bench.operator FILE PAGE: a charge point operator that serves the lines of a file, so many a page, as fast as
it can, and takes whatever it is told. It knows as much of HTTP as that needs: what it costs is not what is measured."""

import sys
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer
from urllib.parse import parse_qs, urlsplit

ENVELOPE = b'"status_code":1000,"timestamp":"2026-01-01T00:00:00Z"}'
TAKEN = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n{%b" % (len(ENVELOPE) + 1, ENVELOPE)
PAGE = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nX-Total-Count: %d\r\nX-Limit: %d\r\n%b\r\n%b"


def handler(bodies: list[bytes], page: int) -> type[StreamRequestHandler]:
    class Handler(StreamRequestHandler):
        wbufsize = -1
        disable_nagle_algorithm = True

        def handle(self):
            while request := self.rfile.readline():
                method, url, _ = request.decode().split()
                self.rfile.read(self.length())
                self.wfile.write(self.listed(url) if method == "GET" else TAKEN)
                self.wfile.flush()

        def length(self) -> int:
            """Of the body, for which all headers are read."""
            length = 0
            while (line := self.rfile.readline()) != b"\r\n":
                name, _, value = line.partition(b":")
                length = int(value) if name.lower() == b"content-length" else length
            return length

        def listed(self, url: str) -> bytes:
            offset = int(parse_qs(urlsplit(url).query).get("offset", ["0"])[0])
            content = b'{"data":[%b],%b' % (b",".join(bodies[offset : offset + page]), ENVELOPE)
            more = self.link(url, offset + page) if offset + page < len(bodies) else b""
            return PAGE % (len(content), len(bodies), page, more, content)

        def link(self, url: str, offset: int) -> bytes:
            here = f"http://127.0.0.1:{self.server.server_address[1]}{urlsplit(url).path}"
            return f'Link: <{here}?offset={offset}&limit={page}>; rel="next"\r\n'.encode()

    return Handler


def main() -> None:
    bodies = Path(sys.argv[1]).read_bytes().splitlines()
    ThreadingTCPServer.daemon_threads = True
    server = ThreadingTCPServer(("127.0.0.1", 0), handler(bodies, int(sys.argv[2])))
    sys.stdout.write(f"{server.server_address[1]}\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    main()
