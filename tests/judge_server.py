"""A server that speaks the chat protocol on this machine, with a script of what it says."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Body = dict[str, Any]


@dataclass(frozen=True)
class Say:
    """One response. body: what stands in it as it is; by default a reply of the protocol with `text`."""

    text: str | None = ""
    status: int = 200
    body: str | None = None
    after: float = 0.0  # seconds
    model: str = "judge-2024"


@dataclass
class Served:
    """url: of the endpoint. requests: the body of each request that came. answered: those that got a whole response."""

    url: str
    requests: list[Body] = field(default_factory=list)
    answered: list[Body] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)


@contextmanager
def judge_server(script: Callable[[Body, int], Say]) -> Iterator[Served]:
    """Serves script(request, how many requests came before) until the block ends. A refusal asks for a retry without a pause."""
    guard = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with guard:
                number = len(served.requests)
                served.requests.append(request)
                served.keys.add(self.headers["Authorization"])
            say = script(request, number)
            time.sleep(say.after)
            content = (say.body if say.body is not None else _reply(say)).encode()
            self.send_response(say.status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.send_header("retry-after-ms", "1")
            self.end_headers()
            self.wfile.write(content)
            with guard:
                served.answered.append(request)

        def log_message(self, format: str, *arguments: Any) -> None:
            """Nothing on stderr."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    served = Served(f"http://127.0.0.1:{server.server_port}/v1")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _reply(say: Say) -> str:
    if say.status != 200:
        return json.dumps({"error": {"message": say.text, "type": "error", "code": None}})
    message = {"role": "assistant", "content": say.text}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return json.dumps({"id": "1", "object": "chat.completion", "created": 0, "model": say.model, "choices": [choice]})
