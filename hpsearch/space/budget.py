"""`budget` of a space file: what a study may take in all."""

from __future__ import annotations

import math

from pydantic import Field, model_validator

from hpsearch.config import Section
from hpsearch.journal.history import MAX_TRIALS

DEFAULT_TRIALS = 20  # if the budget sets no limit
NO_PRICE = "money needs price_per_hour, the price of a device for an hour in the same currency"


class Budget(Section):
    """Totals of the study over all its runs; the first limit that is reached ends it."""

    trials: int | None = Field(
        None,
        ge=1,
        le=MAX_TRIALS,
        description=(
            "trials of the study over all its runs; 20 if the budget sets no limit. The first limit that is "
            "reached ends the study (see The budget)"
        ),
        examples=[30],
    )
    hours: float | None = Field(None, gt=0, description="hours of the study over all its runs", examples=[2])
    device_hours: float | None = Field(
        None,
        gt=0,
        description="hours in which a device is held for trials, over all devices",
        examples=[8],
    )
    money: float | None = Field(
        None,
        gt=0,
        description="device-hours times `price_per_hour`, in any currency",
        examples=[20],
    )
    price_per_hour: float | None = Field(
        None,
        gt=0,
        description="the price of a device for an hour; without `money` it only adds what is spent to the output",
        examples=[2.5],
    )

    @model_validator(mode="after")
    def _money_has_a_price(self) -> Budget:
        if reason := self.lacks_price:
            raise ValueError(reason)
        return self

    @property
    def lacks_price(self) -> str:
        """Why money cannot be counted; empty if it can or need not."""
        return NO_PRICE if self.money is not None and self.price_per_hour is None else ""

    @property
    def is_empty(self) -> bool:
        """Whether it limits nothing."""
        return (self.trials, self.hours, self.device_hours, self.money) == (None, None, None, None)

    @property
    def seconds(self) -> float:
        """The hours in seconds; infinity without."""
        return math.inf if self.hours is None else self.hours * 3600

    @property
    def device_seconds(self) -> float:
        """What device-hours and money allow, in seconds; infinity if neither is limited."""
        paid = None if self.money is None or self.price_per_hour is None else self.money / self.price_per_hour
        return 3600 * min(given for given in (self.device_hours, paid, math.inf) if given is not None)
