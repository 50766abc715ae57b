"""MLflow's client: creation, closing, checks of its answers."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient


def load() -> None:
    """Imports what a client, its first runs and pictures need: seconds of a core."""
    from mlflow import entities, tracking  # noqa: F401
    from mlflow.store.tracking import sqlalchemy_store  # noqa: F401

    from hpsearch.results.pictures import drawing  # noqa: F401  matplotlib


def connected(uri: str, *, ask: bool = False) -> MlflowClient:
    """Returns a client of a store; `ask`: sends a first request, which also creates the tables."""
    from mlflow.tracking import MlflowClient
    from mlflow.tracking._tracking_service import utils

    # MLflow caches artifact locations by run id, and a copied home has the same run ids.
    getattr(utils, "_artifact_repos_cache", {}).clear()
    for name in ("mlflow", "alembic"):  # importing MLflow sets their levels
        logging.getLogger(name).setLevel(logging.CRITICAL)
    client = MlflowClient(tracking_uri=uri)
    if ask:
        client.search_experiments(max_results=1)
    return client


def release(client: MlflowClient) -> None:
    """Closes a client's database connections, which MLflow itself never closes."""
    store = client._tracking_client.store
    if hasattr(store, "engine"):
        store.engine.dispose()


def checked_id(identifier: Any) -> str:
    """Returns the id that a server answered; raises ConnectionError if the answer has none."""
    if not identifier:
        raise ConnectionError("the server does not answer as MLflow does")
    return str(identifier)
