"""`resources`: the launcher by name or with options, and the resources of each worker."""

import re

import pytest

from hpsearch.errors import ConfigError
from hpsearch.space.experiment import Experiment
from hpsearch.testing.toy import Toy
from hpsearch.trainers import Trainer, trains_many
from tests.searching import TOY, experiment


def launcher(text):
    return experiment(f"resources: {{launcher: {text}}}").resources.launcher


def test_a_launcher_is_local_unless_it_is_named():
    assert experiment().resources.launcher.name == "local"
    assert launcher("inline").name == "inline"


def test_ray_by_name_or_with_its_options():
    nothing = dict.fromkeys(("address", "num_cpus", "num_gpus", "storage"))
    assert launcher("ray").model_dump() == {"name": "ray", **nothing}
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
        ("{name: local, storage: 's3://bucket'}", "storage"),
        ("{name: ray, storage: bucket/folder}", "must be a URL such as s3://bucket/folder, not 'bucket/folder'"),
        ("{name: ray, storage: /folder}", "storage: must be a URL such as s3://bucket/folder, not '/folder'"),
        ("{name: ray, storage: 's3://key:hidden@bucket'}", "a URL with a password or token does not belong"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text, said):
    with pytest.raises(ConfigError) as caught:
        launcher(text)
    assert re.match(r"(\./)?space\.yaml:3:\d+: ", str(caught.value))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("wrong", ["0", "65", "1000000000", "2.0", "true", "all", "'2'"])
def test_trials_per_gpu_is_auto_or_a_few(wrong):
    with pytest.raises(ConfigError) as caught:
        experiment(f"resources: {{trials_per_gpu: {wrong}}}")
    line, said = str(caught.value), r"resources\.trials_per_gpu: must be auto or an integer from 1 to 64, not "
    assert re.match(r"(\./)?space\.yaml:3:\d+: " + said, line)
    assert "\n" not in line


def test_trials_per_gpu_as_it_is_given():
    given = [experiment(f"resources: {{trials_per_gpu: {text}}}") for text in ("auto", "1", "64")]
    assert [wanted.resources.trials_per_gpu for wanted in (experiment(), *given)] == [1, "auto", 1, 64]


@pytest.mark.parametrize("url", ["s3://bucket", "file:///mnt/all", "gs://bucket/a/b", "simplecache::s3://bucket/a"])
def test_a_storage_is_a_url(url):
    assert launcher(f"{{name: ray, storage: '{url}'}}").storage == url


def test_a_storage_is_for_data_that_the_driver_has_prepared():
    with pytest.raises(ConfigError, match=r"space.yaml:3:\d+: resources.launcher.storage: the tokenizer has a range"):
        experiment(
            "resources: {launcher: {name: ray, storage: 's3://bucket'}}\n"
            "tokenizer: {vocab_size: {low: 300, high: 400}}\nobjective: {metric: val/bits_per_byte}\n"
        )


def test_the_option_keeps_what_the_file_says_of_the_launcher_it_names():
    wanted = experiment("resources: {launcher: {name: ray, num_gpus: 0.5}}")
    assert wanted.override(launcher="ray").resources.launcher.num_gpus == 0.5
    assert wanted.override(launcher="local").resources.launcher.name == "local"
    assert experiment().override(launcher="ray").resources.launcher.num_gpus is None


def test_resources_are_no_part_of_what_a_study_is():
    assert experiment("resources: {launcher: ray, workers: 9}").identity() == experiment().identity()


# ----------------------------------------------------------------------------------------------- several GPUs each

COMMAND = {"study": "mine", "command": "python train.py --lr {lr}", "config": {"lr": {"low": 0.1, "high": 1.0}}}


def by_command(**resources):
    return Experiment.of({**COMMAND, "resources": resources})


def test_a_program_may_have_several_gpus():
    assert by_command(gpus_per_trial=2).resources.gpus_per_trial == 2
    assert by_command().resources.gpus_per_trial == experiment().resources.gpus_per_trial == 1
    on_ray = {"name": "ray", "num_gpus": 2}
    assert by_command(launcher=on_ray).resources.launcher.num_gpus == 2
    assert by_command(launcher=on_ray, gpus_per_trial=2).resources.gpus_per_trial == 2


@pytest.mark.parametrize(
    ("resources", "said"),
    [
        ({"gpus_per_trial": 0}, "gpus_per_trial: must be at least 1, not 0"),
        ({"gpus_per_trial": 65}, "gpus_per_trial: must be at most 64, not 65"),
        (
            {"gpus_per_trial": 2, "device": "cpu"},
            "gpus_per_trial: device: cpu has no GPUs to share out; allowed: 1, or device: cuda",
        ),
        (
            {"gpus_per_trial": 2, "trials_per_gpu": "auto"},
            "trials_per_gpu: a trial that has several GPUs shares none of them; allowed: 1",
        ),
        (
            {"gpus_per_trial": 2, "trials_per_worker": 2},
            "trials_per_worker: the trainer program trains one trial at a time (it has no method train_many); "
            "allowed: 1",
        ),
        (
            {"gpus_per_trial": 2, "launcher": {"name": "ray", "num_gpus": 1}},
            "launcher.num_gpus: a trial has gpus_per_trial: 2; allowed: 2, or leave it out",
        ),
    ],
)
def test_what_several_gpus_cannot_be_with_is_refused(resources, said):
    with pytest.raises(ConfigError) as caught:
        by_command(**resources)
    assert str(caught.value) == f"space: resources.{said}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{gpus_per_trial: 2}", "3:29: resources.gpus_per_trial: the trainer causal_lm trains on one GPU; allowed: 1"),
        (
            "{launcher: {name: ray, num_gpus: 2}}",
            "3:45: resources.launcher.num_gpus: the trainer causal_lm trains on one GPU; allowed: up to 1",
        ),
    ],
)
def test_our_own_trainer_uses_one_gpu(text, said):
    with pytest.raises(ConfigError) as caught:
        experiment(f"resources: {text}")
    assert str(caught.value).endswith(f"space.yaml:{said}")


def test_a_group_of_trials_has_one_gpu(monkeypatch):
    monkeypatch.setattr(Toy, "several_gpus", True)
    with pytest.raises(
        ConfigError, match="trials_per_worker: a trial that has several GPUs is trained alone; allowed: 1"
    ):
        experiment(f"trainer: '{TOY}'\nresources: {{gpus_per_trial: 2, trials_per_worker: 2}}")


def test_an_option_that_leaves_no_gpus_is_refused():
    with pytest.raises(ConfigError, match="device: cpu has no GPUs to share out"):
        by_command(gpus_per_trial=2).override(device="cpu")


# ----------------------------------------------------------------------------------------------- several in one worker

MANY = f"trainer: '{TOY}'\nresources: {{trials_per_worker: 8}}\n"


def test_a_worker_trains_several_trials_with_a_trainer_that_can():
    assert experiment(MANY).resources.trials_per_worker == 8
    assert experiment().resources.trials_per_worker == 1
    assert experiment("resources: {trials_per_worker: 1}").resources.trials_per_worker == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{trials_per_worker: 2}", "the trainer causal_lm trains one trial at a time (it has no method train_many)"),
        ("{trials_per_worker: 0}", "must be at least 1"),
        ("{trials_per_worker: 1025}", "must be at most 1024"),
        ("{trials_per_worker: auto}", "must be an integer"),
        ("{trials_per_worker: {low: 1, high: 3}}", "a range is allowed only in"),
    ],
)
def test_another_number_of_trials_is_refused_in_one_line(text, said):
    with pytest.raises(ConfigError) as caught:
        experiment(f"resources: {text}")
    assert re.match(r"(\./)?space\.yaml:3:\d+: resources\.trials_per_worker: ", str(caught.value))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_worker_on_ray_trains_one_trial():
    said = r"space\.yaml:4:47: resources\.trials_per_worker: a worker on Ray trains one trial at a time; allowed: 1$"
    with pytest.raises(ConfigError, match=said):
        experiment(MANY.replace("{trials", "{launcher: ray, trials"))
    with pytest.raises(
        ConfigError, match=r"space\.yaml:4:32: resources\.trials_per_worker: a worker on Ray trains one"
    ):
        experiment(MANY).override(launcher="ray")
    assert experiment(MANY).override(launcher="inline").resources.trials_per_worker == 8


def test_a_trainer_that_takes_train_many_back_has_none():
    class Without(Toy):
        train_many = None

    assert trains_many(Toy())
    assert not trains_many(Without())
    assert not trains_many(Trainer())
