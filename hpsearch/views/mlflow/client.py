"""MLflow's own client: made, closed, and its answers looked at."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient


def connected(uri: str, *, ask: bool = False) -> MlflowClient:
    """A client of a store; `ask`: it answers, and has its tables."""
    from mlflow.tracking import MlflowClient
    from mlflow.tracking._tracking_service import utils

    # MLflow remembers by run id alone where artifacts go, and a copied home has the same runs.
    getattr(utils, "_artifact_repos_cache", {}).clear()
    for name in ("mlflow", "alembic"):  # importing MLflow has set levels of its own
        logging.getLogger(name).setLevel(logging.CRITICAL)
    client = MlflowClient(tracking_uri=uri)
    if ask:
        client.search_experiments(max_results=1)
    return client


def release(client: MlflowClient) -> None:
    """Closes the connections of a client to a database, which MLflow itself keeps for ever."""
    store = client._tracking_client.store
    if hasattr(store, "engine"):
        store.engine.dispose()


def given(identifier: Any) -> str:
    """An id that a server gave; raises ConnectionError when it gave none, which MLflow does not."""
    if not identifier:
        raise ConnectionError("the server's answers are not those of MLflow")
    return str(identifier)
