"""Servers that take, refuse, redirect or hang on what is posted to them."""

import contextlib
import http.server
import json
import socket
import threading


class Server(http.server.ThreadingHTTPServer):
    """What was posted to it, and the answers it gives in turn (then 200)."""

    daemon_threads = True
    block_on_close = False  # a test does not wait for an answer that hangs

    def __init__(self, *answers):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers, self.got, self.paths, self.release = list(answers), [], [], threading.Event()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/services/T00000000/B00000000/S3CRETwebhook"

    def handle_error(self, request, client_address):
        """Says nothing of a client that has left."""


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers with the next of the server's answers: a status, or a callable."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.paths.append(self.path)
        self.server.got.append(json.loads(body))
        answer = self.server.answers.pop(0) if self.server.answers else 200
        if callable(answer):
            answer(self)
            return
        self.send_response(answer)
        self.end_headers()

    def do_GET(self):
        self.server.paths.append(f"GET {self.path}")
        self.send_response(200)
        self.end_headers()

    def log_message(self, *arguments):
        """Says nothing."""


def hang(handler):
    """Never answers, until the test ends."""
    handler.server.release.wait(60)


def drip(handler):
    """Sends a byte of its status line now and then."""
    with contextlib.suppress(OSError):
        handler.wfile.write(b"HTTP/1.1 200 ")
        while not handler.server.release.wait(0.05):
            handler.wfile.write(b"x")
            handler.wfile.flush()


def babble(handler):
    """Answers what is no HTTP."""
    handler.wfile.write(b"\x00\xff no HTTP at all\r\n" * 100)


def redirect(to, status=302):
    """Redirects to another address."""

    def answer(handler):
        handler.send_response(status)
        handler.send_header("Location", to)
        handler.end_headers()

    return answer


@contextlib.contextmanager
def served(*answers):
    """A server with these answers."""
    server = Server(*answers)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.release.set()
        server.shutdown()
        server.server_close()
        thread.join()


def free_port():
    """A port of this machine on which nothing listens."""
    with contextlib.closing(socket.socket()) as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]
