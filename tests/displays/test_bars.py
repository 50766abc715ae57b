"""What a person sees in a terminal of 80 columns."""

import io

import pytest
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from hpsearch.displays.bars import DescriptionColumn

LONG = (
    "trial 12 (attempt 2)  n_layers=3 dropout=0.116 learning_rate=0.000993 batch_size=32 epochs=22.9 weight_decay=0.04"
)


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
@pytest.mark.parametrize("width", [72, 80, 200])
def test_bar_percentage_and_value_stay_beside_long_params(width, encoding):
    file = io.TextIOWrapper(io.BytesIO(), encoding)
    console = Console(file=file, width=width, force_terminal=True, color_system=None)
    columns = [BarColumn(bar_width=20), TextColumn("{task.percentage:>3.0f}%"), TextColumn("{task.fields[value]}")]
    bars = Progress(DescriptionColumn(console), *columns, console=console)
    bars.add_task(LONG, total=1, completed=0.3, value="5.4532")
    console.print(bars.get_renderable())
    file.seek(0)
    [line] = file.read().splitlines()
    assert line.startswith("trial 12 (attempt 2)")
    assert line.rstrip().endswith("30% 5.4532")
    assert (LONG in line) == (width == 200)
