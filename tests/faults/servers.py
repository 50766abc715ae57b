"""A real MLflow server, and proxies before it that do what networks and servers do on bad days."""

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from hpsearch.views.mlflow import Store

QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "GIT_PYTHON_REFRESH": "quiet",
}


class Mlflow:
    """`mlflow server` on 127.0.0.1 with a store of its own; can be taken down and brought back."""

    def __init__(self, folder):
        folder.mkdir(exist_ok=True)
        self.folder, self.database, self.port = folder, folder / "mlflow.db", free_port()
        store = Store(folder, None)  # makes the tables, which takes the server itself 10 s
        store.prepare()
        store.close()
        self.uri = f"http://127.0.0.1:{self.port}"
        self.process = None

    def up(self):
        """Starts it and waits until it answers."""
        options = ["--host", "127.0.0.1", "--port", str(self.port), "--workers", "1"]
        options += ["--backend-store-uri", f"sqlite:///{self.database}"]
        options += ["--artifacts-destination", str(self.folder / "artifacts")]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "server", *options],
            cwd=self.folder,
            env={**os.environ, **QUIET},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline = time.monotonic() + 90
        while not answers(f"{self.uri}/health"):
            assert time.monotonic() < deadline, "mlflow server does not start"
            time.sleep(0.1)
        return self

    def down(self):
        """Kills it and its children."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


class Proxy:
    """Passes requests on to a server, except where `rule` says otherwise.

    `rule(path, body)` gives None (pass on), "drop" (pass on, but lose the answer), "hang" (no answer at all),
    ("late", seconds) (the sender gives up before the server gets it), or (status, body) to answer without asking.
    """

    def __init__(self, uri, rule=lambda path, body: None):
        self.rule, self.seen = rule, []  # paths of the requests that came
        self._upstream = uri.removeprefix("http://")
        self._over = threading.Event()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.server.daemon_threads, self.server.block_on_close = True, False
        self.uri = f"http://127.0.0.1:{self.server.server_address[1]}"
        self._thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def close(self):
        self._over.set()
        self.server.shutdown()
        self.server.server_close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _handler(self):
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self):
                super().setup()
                self.upstream = http.client.HTTPConnection(proxy._upstream, timeout=30)

            def finish(self):
                self.upstream.close()
                super().finish()

            def handle_any(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                path = self.path.partition("?")[0]
                proxy.seen.append(path)
                verdict = proxy.rule(path, body)
                if verdict is None or verdict == "drop" or verdict[0] == "late":
                    if isinstance(verdict, tuple):
                        proxy._over.wait(verdict[1])
                    status, kind, answer = self.ask(body)
                    if verdict is not None:
                        self.cut()
                        return
                elif verdict == "hang":
                    proxy._over.wait(60)
                    self.cut()
                    return
                else:
                    (status, answer), kind = verdict, "text/html"
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                with contextlib.suppress(OSError):
                    self.wfile.write(answer)

            def ask(self, body):
                """What the server answers: status, content type, body."""
                kept = {k: v for k, v in self.headers.items() if k.lower() not in ("host", "connection")}
                try:
                    self.upstream.request(self.command, self.path, body, kept)
                    answer = self.upstream.getresponse()
                    return answer.status, answer.getheader("Content-Type", "application/json"), answer.read()
                except (OSError, http.client.HTTPException):
                    self.upstream.close()
                    return 503, "text/plain", b"the server is away"

            def cut(self):
                self.close_connection = True
                with contextlib.suppress(OSError):
                    self.connection.shutdown(socket.SHUT_RDWR)

            def log_message(self, *_):
                pass

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any  # noqa: N815

        return Handler


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answers(url):
    with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=2) as answer:
        return answer.status == 200
    return False
