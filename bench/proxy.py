"""nginx with the configuration that is shipped, before a web server of this machine."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from emsp import local

SHIPPED = local.PROJECT / "deploy" / "nginx"
AROUND = """
daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log; worker_processes 1; {user}
events {{ worker_connections 1024; }}
http {{
    access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxied; fastcgi_temp_path {folder}/f;
    uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s; include {folder}/emsp.conf;
}}
"""


def nginx() -> str | None:
    return shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin")


@contextmanager
def proxied(folder: Path, server: str, *changed: tuple[str, str]) -> Iterator[int]:
    """Where it answers over TLS. `server` is as in upstream.inc; `changed`: what of the configuration is replaced by what."""
    folder.mkdir(parents=True, exist_ok=True)
    plain, tls = free_port(), free_port()
    texts = [("/etc/nginx/", f"{folder}/"), ("    listen [::]:80 default_server;\n", ""),
             ("    listen [::]:443 ssl http2 default_server;\n", ""), ("listen 80 ", f"listen 127.0.0.1:{plain} "),
             ("listen 443 ", f"listen 127.0.0.1:{tls} "), *changed]  # fmt: skip
    for name in ("emsp.conf", "proxied.inc"):
        (folder / name).write_text(replaced((SHIPPED / name).read_text(), texts))
    (folder / "upstream.inc").write_text(f"server {server} max_fails=0;\n")
    make_certificate(folder / "tls")
    user = "user root;" if Path("/proc/self").stat().st_uid == 0 else ""
    (folder / "nginx.conf").write_text(AROUND.format(folder=folder, user=user))
    with subprocess.Popen([nginx(), "-p", folder, "-c", folder / "nginx.conf"], stderr=subprocess.DEVNULL) as running:
        try:
            wait_for(tls, running)
            yield tls
        finally:
            running.terminate()


def replaced(text: str, texts: list[tuple[str, str]]) -> str:
    for before, after in texts:
        text = text.replace(before, after)
    return text


def make_certificate(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", "2"]
    files = ["-keyout", folder / "privkey.pem", "-out", folder / "fullchain.pem"]
    subprocess.run([*command, *files], check=True, capture_output=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port: int, running: subprocess.Popen) -> None:
    deadline = time.monotonic() + 10
    while running.poll() is None and time.monotonic() < deadline:
        with socket.socket() as line:
            if line.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError("nginx does not answer")
