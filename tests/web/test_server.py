"""The server behind intact view: who may ask, and for what."""

import http.client
import json
import socket
import struct
import threading

import pytest

from intact import models
from intact.codec import store
from intact.web import server as module
from intact.web.server import HEADERS, PAGE, TYPES, Server


@pytest.fixture
def served(tmp_path, monkeypatch):
    """A server of two files, one of which is gone, with a model in the user's folder."""
    (tmp_path / "a b.intact").write_bytes(b"first")
    (tmp_path / "secret.txt").write_bytes(b"nobody's business")
    (tmp_path / "stray.intactm").write_bytes(b"no model")
    monkeypatch.setattr(store, "search_path", lambda: [tmp_path, models.FOLDER])
    with Server([tmp_path / "a b.intact", tmp_path / "gone.intact"]) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def ask(server, place, *, token=None, method="GET", path=None, **headers):
    """Status, headers and body of a request."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    target = path if path is not None else f"/{server.token if token is None else token}/{place}"
    names = {key.replace("_", "-"): value for key, value in headers.items()}
    connection.request(method, target, headers=names)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, dict(answer.getheaders()), body


@pytest.mark.parametrize("name", TYPES)
def test_the_page_is_served_with_a_strict_policy(served, name):
    status, headers, body = ask(served, "" if name == "index.html" else name)
    assert (status, body) == (200, (PAGE / name).read_bytes())
    assert headers["Content-Type"] == TYPES[name]
    assert {key: headers[key] for key in HEADERS} == HEADERS
    assert "http" not in headers["Content-Security-Policy"]


def test_the_page_has_the_policy_of_the_server_as_static_files_too():
    text = (PAGE / "index.html").read_text()
    assert module.POLICY.partition("; frame-ancestors")[0] in text


def test_the_page_names_no_other_host():
    for path in PAGE.iterdir():
        text = path.read_text("utf-8")
        assert "http://" not in text, path
        assert "https://" not in text, path


def test_the_files_that_were_named_are_served_and_no_others(served):
    listed = json.loads(ask(served, "files.json")[2])
    assert [item["name"] for item in listed] == ["a b.intact", "gone.intact"]
    assert ask(served, listed[0]["url"])[2] == b"first"
    assert ask(served, listed[1]["url"])[0] == 404
    for place in (
        "files/2", "files/-1", "files/00000001", "secret.txt", "files/secret.txt",
        "files/../secret.txt", "..%2fsecret.txt", "../secret.txt", "server.py", "page/index.html",
        "models/secret.intactm", "models/../secret.txt", "index.html/", "//", "\x00",
    ):  # fmt: skip
        status, headers, body = ask(served, place.replace("\x00", "%00"))
        assert status == 404, place
        assert b"business" not in body
        assert HEADERS.items() <= headers.items()


def test_models_are_served_by_their_id(served):
    model = store.load_model()
    assert (
        ask(served, f"models/{model.id.hex()}.intactm")[2]
        == store.model_path(store.DEFAULT).read_bytes()
    )
    assert ask(served, f"models/{'0' * 32}.intactm")[0] == 404


@pytest.mark.parametrize("token", ["", "x", "%C3%A9", "TOKEN", "a" * 5000])
def test_without_the_token_nothing_is_served(served, token):
    path = f"/{token}/files/0"
    for target in (path, "/", "/files/0", "/files.json"):
        assert ask(served, "", path=target)[0] == 403


def test_tokens_are_not_repeated():
    with Server([]) as one, Server([]) as other:
        assert one.token != other.token
        assert len(one.token) >= 32


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "127.0.0.1"},
        {"Host": "127.0.0.1:1"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:1"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
    ],
)
def test_requests_for_another_host_or_from_another_page_are_refused(served, headers):
    status, _, body = ask(served, "files/0", **headers)
    assert status == 403
    assert b"first" not in body


def test_requests_of_the_page_itself_are_answered(served):
    host = f"localhost:{served.server_port}"
    headers = {"Host": host, "Origin": f"http://{host}", "Sec_Fetch_Site": "same-origin"}
    assert ask(served, "files/0", **headers)[2] == b"first"


def test_a_header_that_is_there_twice_is_refused(served):
    own = f"127.0.0.1:{served.server_port}"
    for twice in (
        f"Host: {own}\r\nHost: evil.example",
        f"Host: {own}\r\nOrigin: http://{own}\r\nOrigin: http://evil.example",
        f"Host: {own}\r\nSec-Fetch-Site: none\r\nSec-Fetch-Site: cross-site",
    ):
        assert raw(served, twice).startswith(b"HTTP/1.0 403"), twice
    assert raw(served, f"Host: {own}").startswith(b"HTTP/1.0 200")


def raw(server, headers):
    """The answer to a request for the first file with these lines."""
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=10) as connection:
        request = f"GET /{server.token}/files/0 HTTP/1.1\r\n{headers}\r\n\r\n"
        connection.sendall(request.encode())
        return connection.makefile("rb").read()


def test_a_browser_that_goes_away_is_no_error(served, capfd, caplog):
    ended = threading.Event()
    shutdown_request = served.shutdown_request

    def ending(request):
        shutdown_request(request)
        ended.set()

    served.shutdown_request = ending
    connection = socket.create_connection(("127.0.0.1", served.server_port), timeout=10)
    connection.sendall(b"GET /")
    now = struct.pack("ii", 1, 0)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, now)  # a reset, no farewell
    connection.close()
    assert ended.wait(10)
    assert capfd.readouterr().err == ""
    assert not caplog.records


def test_a_ticket_leads_to_the_page_once(served):
    path = "/" + served.ticket.split("/", 3)[3]
    assert served.token not in path
    assert ask(served, "", path=path, method="HEAD")[0] == 403
    assert ask(served, "", path=path, Host="evil.example")[0] == 403
    status, headers, _ = ask(served, "", path=path)
    assert (status, headers["Location"]) == (302, served.url)
    assert ask(served, "", path=path)[0] == 403


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "CONNECT", "NONSENSE"])
def test_only_reading_is_possible(served, method):
    assert ask(served, "files/0", method=method)[0] == 501


def test_a_head_request_has_no_body(served):
    status, headers, body = ask(served, "files/0", method="HEAD")
    assert (status, headers["Content-Length"], body) == (200, "5", b"")


def test_only_this_machine_can_connect(served):
    assert served.server_address[0] == "127.0.0.1"
    assert served.url.startswith(f"http://127.0.0.1:{served.server_port}/{served.token}/")
