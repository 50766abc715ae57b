"""`resources` of a space file: the launcher, and what each worker runs on."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from hpsearch.config import Section
from hpsearch.output.redaction import NO_PASSWORDS, url_with_password

MOST_PER_GPU = 64  # trials; each is a process with its own CUDA context
MOST_PER_WORKER = 1024  # trials
MOST_PER_TRIAL = 64  # GPUs


class LocalWorkers(Section):
    """Processes of this machine."""

    name: Literal["local"] = Field(description="the launcher")


class InlineWorkers(Section):
    """The driver's own process."""

    name: Literal["inline"] = Field(description="the launcher")


class RayWorkers(Section):
    """Actors of a Ray cluster, and the resources of each."""

    name: Literal["ray"] = Field(description="the launcher")
    address: str | None = Field(
        None,
        description=(
            "the address of a Ray cluster; if left out `RAY_ADDRESS` of the environment, or else a Ray is started "
            "here for the run"
        ),
        examples=["node:6379"],
    )
    num_cpus: float | None = Field(
        None,
        ge=0,
        description="CPUs of each worker, a fraction up to 1 or a whole number; if left out, `threads`",
        examples=[1],
    )
    num_gpus: float | None = Field(
        None,
        ge=0,
        description=(
            "GPUs of each worker, a fraction up to 1 or a whole number; if left out 1 if the device is `cuda`, else 0"
        ),
        examples=[0.5],
    )
    storage: str | None = Field(
        None,
        description="a URL for checkpoints and prepared data, if the nodes share no folder",
        examples=["s3://bucket/folder"],
    )

    @field_validator("storage")
    @classmethod
    def _url_without_password(cls, url: str | None) -> str | None:
        if url is not None and url_with_password(url) is not None:
            raise ValueError(NO_PASSWORDS)
        if url is not None and not re.match(r"[a-z][a-z0-9+.-]*(::[^\s]+)?://[^\s]+$", url):
            raise ValueError(f"must be a URL such as s3://bucket/folder, not {url!r}")
        return url

    @field_validator("num_cpus", "num_gpus")
    @classmethod
    def _share_or_whole(cls, value: float | None) -> float | None:
        if value is not None and value > 1 and value != int(value):
            raise ValueError(f"must be a share (up to 1) or a whole number, not {value:g}")
        return value


AnyLauncher = Annotated[LocalWorkers | InlineWorkers | RayWorkers, Field(discriminator="name")]
LAUNCHERS: dict[str, type[LocalWorkers | InlineWorkers | RayWorkers]] = {
    "local": LocalWorkers,
    "inline": InlineWorkers,
    "ray": RayWorkers,
}


class Resources(Section):
    """What the workers run on."""

    launcher: AnyLauncher = Field(
        {"name": "local"},
        validate_default=True,
        description=(
            "`local`: processes of this machine; `inline`: the driver's own process; `ray`: a Ray cluster, with "
            "options `{name: ray, num_cpus: 1}` (docs/cluster.md)"
        ),
        examples=["inline"],
    )
    workers: Annotated[int, Field(ge=1)] | Literal["auto"] = Field(
        "auto",
        description=(
            "`auto`: one per CPU core, or `trials_per_gpu` per GPU (if that is `auto`: one per core, at most 8), "
            "or as many as the Ray cluster has room for"
        ),
        examples=[2],
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        "auto",
        description="where to train; `auto`: CUDA if there is a GPU, else the CPU",
        examples=["cpu"],
    )
    trials_per_gpu: Annotated[int, Field(ge=1, le=MOST_PER_GPU)] | Literal["auto"] = Field(
        1,
        description=(
            "how many trials (with `trials_per_worker`: how many workers) share a GPU of this machine at most, as "
            "its memory allows: 1 to 64, or `auto`: as many as fit (docs/cluster.md; on Ray, set `num_gpus` to a "
            "fraction)"
        ),
        examples=["auto"],
    )
    gpus_per_trial: int = Field(
        1,
        ge=1,
        le=MOST_PER_TRIAL,
        description=(
            "how many GPUs each trial has, for a program (`command:`) or a function (`train:`) that trains on several; "
            "there are then as many workers as the GPUs are enough for (docs/cluster.md; on Ray `num_gpus` says the "
            "same)"
        ),
        examples=[2],
    )
    trials_per_worker: int = Field(
        1,
        ge=1,
        le=MOST_PER_WORKER,
        description=(
            "how many trials a worker trains together at most, with a trainer that can (see Several trials in one "
            "worker); 1 on Ray"
        ),
    )
    threads: int | None = Field(None, ge=1, description="CPU threads of each worker; if left out, 1", examples=[2])

    @field_validator("launcher", mode="before")
    @classmethod
    def _launcher_by_name(cls, raw: Any) -> Any:
        """Reads `launcher: ray` as `{name: ray}`."""
        return {"name": raw} if isinstance(raw, str) else raw

    def launched_by(self, name: str) -> LocalWorkers | InlineWorkers | RayWorkers:
        """The launcher of this name: the configured one with its options, or another one with defaults."""
        return self.launcher if self.launcher.name == name else LAUNCHERS[name].model_validate({"name": name})

    @field_validator("trials_per_gpu", mode="before")
    @classmethod
    def _auto_or_a_few(cls, raw: Any) -> Any:
        if raw == "auto" or (type(raw) is int and 1 <= raw <= MOST_PER_GPU):
            return raw
        raise ValueError(f"must be auto or an integer from 1 to {MOST_PER_GPU}, not {raw!r}")

    @field_validator("workers", mode="before")
    @classmethod
    def _auto_or_count(cls, raw: Any) -> Any:
        if raw == "auto" or (isinstance(raw, int) and not isinstance(raw, bool) and raw >= 1):
            return raw
        raise ValueError(f"must be auto or an integer of at least 1, not {raw!r}")
