"""`resources`: the launcher by name or with its options, and what each worker takes."""

import re

import pytest

from hpsearch.errors import ConfigError
from tests.searching import experiment


def launcher(text):
    return experiment(f"resources: {{launcher: {text}}}").resources.launcher


def test_a_launcher_is_local_unless_it_is_named():
    assert experiment().resources.launcher.name == "local"
    assert launcher("inline").name == "inline"


def test_ray_by_name_or_with_its_options():
    assert launcher("ray").model_dump() == {"name": "ray", "address": None, "num_cpus": None, "num_gpus": None}
    given = launcher("{name: ray, address: 'node:6379', num_cpus: 2, num_gpus: 0.5}")
    assert (given.address, given.num_cpus, given.num_gpus) == ("node:6379", 2, 0.5)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("slurm", "'slurm'"),
        ("{name: ray, num_gpu: 1}", "num_gpus"),
        ("{name: ray, num_gpus: 1.5}", "must be a share (up to 1) or a whole number, not 1.5"),
        ("{name: ray, num_cpus: -1}", "num_cpus"),
        ("{name: local, address: x}", "address"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text, said):
    with pytest.raises(ConfigError) as caught:
        launcher(text)
    assert re.match(r"(\./)?space\.yaml:3:\d+: ", str(caught.value))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_trials_per_gpu_is_at_least_one():
    with pytest.raises(ConfigError, match="trials_per_gpu"):
        experiment("resources: {trials_per_gpu: 0}")


def test_the_option_keeps_what_the_file_says_of_the_launcher_it_names():
    wanted = experiment("resources: {launcher: {name: ray, num_gpus: 0.5}}")
    assert wanted.override(launcher="ray").resources.launcher.num_gpus == 0.5
    assert wanted.override(launcher="local").resources.launcher.name == "local"
    assert experiment().override(launcher="ray").resources.launcher.num_gpus is None


def test_resources_are_no_part_of_what_a_study_is():
    assert experiment("resources: {launcher: ray, workers: 9}").identity() == experiment().identity()
