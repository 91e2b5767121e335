"""Serves the viewer with some files to the browser of this machine; ``intact view`` calls it.

Nobody else may read them: the server listens on the loopback address, every path begins with a
random token, which is on no command line, and a request that names another host or comes from
another page is refused. Only the files that were named are served, with the models that are
installed, by their id.
"""

from __future__ import annotations

import hmac
import json
import logging
import re
import secrets
import shutil
import sys
from collections.abc import Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import BinaryIO, Final

from intact.codec import store
from intact.container.model_file import peek_model
from intact.errors import IntactError

log = logging.getLogger(__name__)

PAGE: Final = Path(__file__).parent / "page"
TYPES: Final = {
    "index.html": "text/html; charset=utf-8",
    "style.css": "text/css; charset=utf-8",
    "main.js": "text/javascript; charset=utf-8",
    "worker.js": "text/javascript; charset=utf-8",
}
"""The page's files, and what they are."""

POLICY: Final = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; "
    "img-src 'self' blob: data:; connect-src 'self'; worker-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
BYTES: Final = "application/octet-stream"
SECONDS: Final = 30
"""A connection that says nothing for so long is closed."""


class Server(ThreadingHTTPServer):
    """Shows files until it is shut down.

    Args:
        files: to show, in order.
        models: model files beside those that are installed.
        port: 0 takes one that is free.

    Attributes:
        url: of the page.
        ticket: an address that leads to ``url`` once. Browsers get their address on a command
            line, which other users of the machine can read; this one is then worth nothing.
    """

    daemon_threads = True
    allow_reuse_address = False

    def __init__(
        self, files: Sequence[Path], *, models: Sequence[Path] = (), port: int = 0
    ) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.files, self.models = tuple(files), tuple(models)
        self.token = secrets.token_urlsafe(24)
        self.hosts = tuple(f"{name}:{self.server_port}" for name in ("127.0.0.1", "localhost"))
        origin = f"http://127.0.0.1:{self.server_port}"
        self.url = f"{origin}/{self.token}/#view"
        self._tickets = [secrets.token_urlsafe(24)]
        self.ticket = f"{origin}/{self._tickets[0]}/"

    def redeem(self, ticket: str) -> bool:
        """Whether this is the ticket, and asked for the first time."""
        try:
            self._tickets.remove(ticket)  # in one step, whoever else asks
        except ValueError:
            return False
        return True

    def handle_error(self, request: object, client_address: object) -> None:
        """A browser that closes a connection, or says nothing, is no error of ours."""
        if not isinstance(sys.exception(), OSError):
            log.exception("a request from %s", client_address)

    def listing(self) -> bytes:
        """What the page asks first: names and places of the files."""
        listed = [{"name": p.name, "url": f"files/{i}"} for i, p in enumerate(self.files)]
        return json.dumps(listed).encode("ascii")

    def model_file(self, wanted: str) -> Path | None:
        """The file of the model with an id, 32 hexadecimal digits."""
        for path in (*self.models, *store.model_files()):
            try:
                with path.open("rb") as file:
                    if peek_model(file.read(64)).model_id.hex() == wanted:
                        return path
            except (OSError, IntactError):
                continue
        return None


class _Handler(BaseHTTPRequestHandler):
    server: Server  # pyright: ignore[reportIncompatibleVariableOverride]
    timeout = SECONDS
    server_version, sys_version = "intact", ""

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: object) -> None:
        log.debug(format, *args)

    def _answer(self) -> None:
        if not self._is_from_here():
            self.send_error(HTTPStatus.FORBIDDEN)
            return
        if self.command == "GET" and self.server.redeem(self.path.strip("/")):
            self.send_response(HTTPStatus.FOUND)
            self.send_header("Location", self.server.url)
            self.end_headers()
            return
        place = self._place()
        if place is None:
            self.send_error(HTTPStatus.FORBIDDEN)
            return
        if place == "files.json":
            self._send(self.server.listing(), "application/json")
            return
        path, kind = self._find(place)
        if path is None:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        try:
            file = path.open("rb")
        except OSError as error:
            log.warning("%s: %s", path, error.strerror)
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        with file:
            self._send_file(file, kind)

    def _is_from_here(self) -> bool:
        """Whether a page of this server asks, or the user; no header may be there twice."""
        hosts, origins = self.headers.get_all("Host", []), self.headers.get_all("Origin", [])
        if len(hosts) != 1 or hosts[0] not in self.server.hosts:
            return False
        if origins not in ([], [f"http://{hosts[0]}"]):
            return False
        return set(self.headers.get_all("Sec-Fetch-Site", [])) <= {"same-origin", "none"}

    def _place(self) -> str | None:
        """What of the page is asked for; None without the token."""
        token, _, place = self.path.partition("?")[0].removeprefix("/").partition("/")
        right = self.server.token.encode()
        return place if hmac.compare_digest(token.encode("utf-8", "replace"), right) else None

    def _find(self, place: str) -> tuple[Path | None, str]:
        """The file behind a place, and its type. No place is ever used as a path."""
        name = place or "index.html"
        if name in TYPES:
            return PAGE / name, TYPES[name]
        if (found := re.fullmatch(r"files/([0-9]{1,6})", place)) is not None:
            number = int(found[1])
            files = self.server.files
            return (files[number] if number < len(files) else None), BYTES
        if (found := re.fullmatch(r"models/([0-9a-f]{32})\.intactm", place)) is not None:
            return self.server.model_file(found[1]), BYTES
        return None, BYTES

    def _send(self, data: bytes, kind: str) -> None:
        self._head(len(data), kind)
        if self.command != "HEAD":
            self.wfile.write(data)

    def _send_file(self, file: BinaryIO, kind: str) -> None:
        size = file.seek(0, 2)
        file.seek(0)
        self._head(size, kind)
        if self.command != "HEAD":
            shutil.copyfileobj(file, self.wfile)

    def _head(self, size: int, kind: str) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(size))
        self.end_headers()

    def end_headers(self) -> None:
        for name, value in HEADERS.items():
            self.send_header(name, value)
        super().end_headers()
