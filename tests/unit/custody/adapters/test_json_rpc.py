"""JSON-RPC against a server of the standard library that answers well, badly, slowly, and too much."""

import asyncio
import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from custody.adapters import json_rpc
from custody.adapters.json_rpc import Endpoint, JsonRpc, RpcError, RpcUnavailable, as_int, as_str


class Server:
    """Answers with what the test says."""

    def __init__(self) -> None:
        self.answer: Callable[[dict[str, Any]], bytes] = lambda request: json.dumps(
            {"id": request["id"], "result": request["params"]}
        ).encode()
        self.status = 200
        self.authorisations: list[str | None] = []
        self.connections: set[tuple[str, int]] = set()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.authorisations.append(self.headers.get("Authorization"))
                outer.connections.add(self.client_address)
                body = outer.answer(request)
                self.send_response(outer.status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the server's name
                return

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def endpoint(self, **changes: Any) -> Endpoint:
        url = f"http://127.0.0.1:{self.http.server_address[1]}"
        return Endpoint(**{"name": "node-a", "url": url, "timeout_seconds": 2.0, **changes})


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.http.shutdown()
    made.http.server_close()


async def test_a_call_and_its_result(server: Server) -> None:
    rpc = JsonRpc(server.endpoint())
    assert await rpc.call("echo", 1, "two", None, read=lambda result: result) == [1, "two", None]
    rpc.close()


async def test_a_connection_is_kept(server: Server) -> None:
    rpc = JsonRpc(server.endpoint())
    for _ in range(5):
        await rpc.call("echo", read=lambda result: result)
    assert len(server.connections) <= json_rpc.THREADS_MAX
    rpc.close()


async def test_fractions_stay_exact(server: Server) -> None:
    server.answer = lambda _: b'{"result": 0.00000001, "error": null}'
    rpc = JsonRpc(server.endpoint())
    assert str(await rpc.call("fee", read=lambda result: result)) == "1E-8"
    rpc.close()


async def test_a_nodes_error_keeps_its_code(server: Server) -> None:
    server.status = 500
    server.answer = lambda _: b'{"result": null, "error": {"code": -5, "message": "no such block"}}'
    rpc = JsonRpc(server.endpoint())
    with pytest.raises(RpcError, match="no such block") as raised:
        await rpc.call("getblock", read=as_str)
    assert raised.value.code == -5
    rpc.close()


async def test_a_user_and_its_password(server: Server, tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("secret\n")
    rpc = JsonRpc(server.endpoint(user="custody", secret_file=secret))
    await rpc.call("echo", read=lambda result: result)
    assert server.authorisations == [f"Basic {base64.b64encode(b'custody:secret').decode()}"]
    rpc.close()


async def test_a_cookie_is_read_again_when_connecting_again(server: Server, tmp_path: Path) -> None:
    cookie = tmp_path / ".cookie"
    cookie.write_text("__cookie__:one")
    rpc = JsonRpc(server.endpoint(secret_file=cookie))
    server.status = 401
    with pytest.raises(RpcUnavailable):
        await rpc.call("echo", read=lambda result: result)
    server.status = 200
    cookie.write_text("__cookie__:two")
    await rpc.call("echo", read=lambda result: result)
    assert server.authorisations[-1] == f"Basic {base64.b64encode(b'__cookie__:two').decode()}"
    rpc.close()


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'{"result": NaN}',
        b'{"error": "text"}',
        b'{"result": "text"}',
        b"\xff\xfe",
    ],
)
async def test_what_is_no_usable_answer(server: Server, answer: bytes) -> None:
    server.answer = lambda _: answer
    rpc = JsonRpc(server.endpoint())
    with pytest.raises(RpcUnavailable, match="node-a"):
        await rpc.call("height", read=as_int)
    rpc.close()


async def test_an_answer_without_end_is_cut(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_rpc, "ANSWER_BYTES_MAX", 1000)
    server.answer = lambda _: json.dumps({"result": "x" * 2000}).encode()
    rpc = JsonRpc(server.endpoint())
    with pytest.raises(RpcUnavailable, match="more than 1000 bytes"):
        await rpc.call("getblock", read=as_str)
    rpc.close()


async def test_a_node_that_does_not_answer_in_time(server: Server) -> None:
    stop = threading.Event()
    server.answer = lambda _: (stop.wait(5), b"")[1]
    rpc = JsonRpc(server.endpoint(timeout_seconds=0.1))
    with pytest.raises(RpcUnavailable):
        await rpc.call("slow", read=as_str)
    stop.set()
    rpc.close()


async def test_a_node_that_is_not_there() -> None:
    rpc = JsonRpc(Endpoint(name="node-b", url="http://127.0.0.1:1", timeout_seconds=1))
    with pytest.raises(RpcUnavailable, match="node-b"):
        await rpc.call("height", read=as_int)
    rpc.close()


async def test_more_calls_than_may_wait_are_refused(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_rpc, "WAITING_MAX", 3)
    stop = threading.Event()
    server.answer = lambda _: (stop.wait(5), b'{"result": 1}')[1]
    rpc = JsonRpc(server.endpoint())
    waiting = [asyncio.create_task(rpc.call("slow", read=as_int)) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(RpcUnavailable, match="waiting already"):
        await rpc.call("one-more", read=as_int)
    stop.set()
    assert await asyncio.gather(*waiting) == [1, 1, 1]
    rpc.close()


async def test_reading_an_answer_leaves_the_event_loop_free(server: Server) -> None:
    """The answer is read in the thread: meanwhile the loop goes on."""
    rpc = JsonRpc(server.endpoint())
    loop_thread, turns = threading.get_ident(), 0

    def read(_: json_rpc.Json) -> int:
        deadline = time.monotonic() + 2
        while turns < 3 and time.monotonic() < deadline:
            time.sleep(0.001)
        return threading.get_ident()

    reading = asyncio.create_task(rpc.call("block", read=read))
    while not reading.done():
        turns += 1
        await asyncio.sleep(0.001)
    assert await reading != loop_thread
    assert turns >= 3
    rpc.close()


@pytest.mark.parametrize("url", ["ftp://node", "http://user:secret@node:1", "node:8332", "http://"])
def test_urls_that_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match="the URL of node x"):
        Endpoint(name="x", url=url)
