"""MLflow's own server, whose pages open in the mode "Model training": the app of `mlflow server --app-name hpsearch`.

The mode is a parameter of an address, which links within MLflow's pages drop, and else what the browser's local
storage has; without either it is "GenAI". So the first page that is loaded notes the mode there, unless a person has
chosen one.
The name of the key was read in the pages of MLflow 3.17; one that does not know it ignores it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from mlflow.server.fastapi_app import app

MODE = "mlflow.workflowType_v1"
SCRIPT = f"""<script>try {{ if (!localStorage.getItem("{MODE}")) {{
localStorage.setItem("{MODE}", JSON.stringify("machine_learning")) }} }} catch (error) {{}}</script>""".encode()
HEAD = b"<head>"
CACHED = (b"if-none-match", b"if-modified-since")  # headers of a request for what a browser may have without the script

__all__ = ["app"]


async def note_mode(request: Any, call_next: Callable[[Any], Awaitable[Any]]) -> Any:
    """Adds SCRIPT to the head of the one page that MLflow has; passes everything else on."""
    if request.scope["path"] != "/":
        return await call_next(request)
    headers = request.scope["headers"]
    request.scope["headers"] = [(name, value) for name, value in headers if name not in CACHED]
    response = await call_next(request)
    page = b"".join([part async for part in response.body_iterator])
    page = page.replace(HEAD, HEAD + SCRIPT, 1)
    response.headers["content-length"] = str(len(page))
    response.body_iterator = _once(page)
    return response


app.middleware("http")(note_mode)


async def _once(page: bytes) -> AsyncIterator[bytes]:
    yield page
