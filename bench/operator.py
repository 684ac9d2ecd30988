"""python -m bench.operator FILE PAGE: a charge point operator that serves the lines of a file, so many a page, as fast as
it can, and takes whatever it is told."""

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

TAKEN = b'{"status_code":1000,"timestamp":"2026-01-01T00:00:00Z"}'


def handler(bodies: list[bytes], page: int) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1
        disable_nagle_algorithm = True

        def do_GET(self):
            offset = int(parse_qs(urlsplit(self.path).query).get("offset", ["0"])[0])
            content = b'{"data":[%b],"status_code":1000,"timestamp":"2026-01-01T00:00:00Z"}'
            content %= b",".join(bodies[offset : offset + page])
            self.send_response(200)
            self.send_header("X-Total-Count", str(len(bodies)))
            self.send_header("X-Limit", str(page))
            if offset + page < len(bodies):
                url = f"http://127.0.0.1:{self.server.server_address[1]}{urlsplit(self.path).path}"
                self.send_header("Link", f'<{url}?offset={offset + page}&limit={page}>; rel="next"')
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def do_PUT(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", str(len(TAKEN)))
            self.end_headers()
            self.wfile.write(TAKEN)

        def log_message(self, *_arguments):
            """Nobody reads it."""

    return Handler


def main() -> None:
    bodies = Path(sys.argv[1]).read_bytes().splitlines()
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(bodies, int(sys.argv[2])))
    sys.stdout.write(f"{server.server_address[1]}\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    main()
