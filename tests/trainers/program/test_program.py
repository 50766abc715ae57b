"""Programs in real processes: what they print is measured, and they are stopped with all that they started."""

import json
import os
import sys
import time

import pytest

from hpsearch.contract import Command
from tests.cli.processes import wait_for
from tests.trainers.own_code import Space, losses

COUNTS = """
import json, os, sys, time
path = os.environ["HPSEARCH_FOLDER"] + "/step"
step = int(open(path).read()) if os.environ["HPSEARCH_RESUME"] == "1" else 0
print("started at", step)
while step < 8:
    step += 1
    print(json.dumps({"val/loss": 2.0 ** -step, "step": step, "steps": 8}))
    if step % 3 == 0:
        with open(path + ".new", "w") as file:
            file.write(str(step))
        os.replace(path + ".new", path)
    if len(sys.argv) > 1:
        time.sleep(float(sys.argv[1]))
"""
WHOLE = [(i, i, 2.0**-i) for i in range(1, 9)]


def program(folder, code, *arguments, **file):
    (folder / "train.py").write_text(code)
    return Space(folder, command=["python", "train.py", *arguments], **{"evaluations": 8, **file})


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_json_lines_become_evaluations(tmp_path):
    mine = program(tmp_path, COUNTS)
    assert mine.losses() == WHOLE
    log = (mine.own / "log.txt").read_text().splitlines()
    assert (log[0], len(log)) == ("started at 0", 9)


def test_patterns_read_an_unchanged_program(tmp_path):
    code = """
for i in range(0, 5):
    print(f"step {i * 10}: train loss {3 - i / 10:.4f}, val loss {4 - i / 10:.4f}")
    print(f"iter {i * 10}: loss {3.0:.4f}, time 20ms")
"""
    metrics = {"step": r"^step (\d+)", "val/loss": r"val loss ([\d.]+)", "train/loss": r"train loss ([\d.]+)"}
    found = list(program(tmp_path, code, metrics=metrics).train())
    assert losses(found)[-1] == (5, 40, 3.6)
    assert found[-1].metrics == {"val/loss": 3.6, "train/loss": 2.6}


def test_it_is_told_what_to_train_and_where(tmp_path):
    code = """
import json, os, sys
own = {name: value for name, value in os.environ.items() if name.startswith("HPSEARCH_")}
config = json.load(open(own["HPSEARCH_CONFIG"]))
seen = {"argv": sys.argv[1:], "own": own, "config": config, "cwd": os.getcwd(), "mine": os.environ["MINE"]}
seen["threads"], seen["gpus"] = os.environ["OMP_NUM_THREADS"], os.environ["CUDA_VISIBLE_DEVICES"]
json.dump(seen, open(own["HPSEARCH_FOLDER"] + "/seen.json", "w"))
print('{"val/loss": 1}')
"""
    config = {"optimizer": {"lr": 0.1, "name": "a b;c"}}
    arguments = ("--lr={optimizer.lr}", "{optimizer.name}", "{folder}", "{seed}")
    mine = program(tmp_path, code, *arguments, config=config, seed=5, env={"MINE": "lr={optimizer.lr}"})
    assert len(mine.losses()) == 1
    seen = json.loads((mine.own / "files/seen.json").read_text())
    assert seen["argv"] == ["--lr=0.1", "a b;c", str(mine.own / "files"), "5"]
    assert seen["config"] == config
    assert (seen["mine"], seen["threads"], seen["gpus"], seen["cwd"]) == ("lr=0.1", "1", "", str(tmp_path))
    told = {name: seen["own"][f"HPSEARCH_{name}"] for name in ("SEED", "TRIAL", "DEVICE", "RESUME", "THREADS")}
    assert told == {"SEED": "5", "TRIAL": "0", "DEVICE": "cpu", "RESUME": "0", "THREADS": "1"}


def test_a_kill_after_any_evaluation_resumes_to_the_same_curve(tmp_path):
    """The program resumes from its own file, which is older than what it has printed."""
    for index in (1, 4, 6):
        folder = tmp_path / str(index)
        folder.mkdir()
        mine = program(folder, COUNTS, "0.02")
        training = mine.train()
        assert losses(next(training) for _ in range(index)) == WHOLE[:index]
        training.close()
        assert mine.losses() == WHOLE
        starts = [line for line in (mine.own / "log.txt").read_text().splitlines() if line.startswith("started")]
        saved = range(index // 3 * 3, 7, 3)  # the program may have gone on meanwhile
        assert starts in [["started at 0", f"started at {step}"] for step in saved]


def test_a_pause_saves_and_a_program_without_steps_starts_anew(tmp_path):
    code = "import time\nfor i in range(4):\n    print({'val/loss': i}, flush=True)\n    time.sleep(0.05)\n"
    mine = program(tmp_path, code, evaluations=4)
    paused = mine.up_to(2, Command.PAUSE)
    assert [loss for _, _, loss in paused][:2] == [0.0, 1.0]
    assert (mine.own / "last.pt").exists()
    assert mine.losses() == [(i + 1, i + 1, float(i)) for i in range(4)]


def test_another_command_may_resume(tmp_path):
    code = COUNTS.replace('os.environ["HPSEARCH_RESUME"] == "1"', '"--resume" in sys.argv')
    code = code.replace("if len(sys.argv) > 1:", "if True:").replace("float(sys.argv[1])", "0.02")
    mine = program(tmp_path, code, resume_command="python train.py --resume")
    training = mine.train()
    assert losses(next(training) for _ in range(4)) == WHOLE[:4]
    training.close()
    assert mine.losses() == WHOLE


def test_exit_code_75_starts_it_again_as_long_as_it_gets_on(tmp_path):
    code = COUNTS.replace("    if len(sys.argv)", "    if step in (3, 6):\n        sys.exit(75)\n    if len(sys.argv)")
    assert program(tmp_path, code).losses() == WHOLE
    folder = tmp_path / "stuck"
    folder.mkdir()
    with pytest.raises(RuntimeError, match=r"it ended twice with exit code 75 \(resume me\) and reported no step"):
        program(folder, "import sys\nsys.exit(75)\n").losses()


@pytest.mark.parametrize(
    ("code", "error", "said"),
    [
        ("print('about to fail')\n1 / 0", RuntimeError, "exit code 1: ZeroDivisionError: division by zero\n"),
        ("import os\nos._exit(3)", RuntimeError, "exit code 3: it printed nothing\n"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)", RuntimeError, "signal 11: it printed nothing"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", MemoryError, "signal 9: it printed nothing"),
        ("import sys\nsys.exit(137)", MemoryError, "exit code 137"),
        ("raise RuntimeError('CUDA out of memory. Tried to allocate')", MemoryError, "exit code 1: RuntimeError: CUDA"),
        (
            "print('done')",
            ValueError,
            "ended without val/loss, the objective; it reported: nothing; its last line: done",
        ),
        (
            "print({'acc': 1})",
            ValueError,
            "it reported: acc; objective: {metric: NAME} in the space file names it; its last line: {'acc': 1}",
        ),
        (
            "print({'eval_loss': 1, 'epoch': 1.0})",
            ValueError,
            "it reported: eval_loss; if eval_loss is meant, write objective: {metric: eval_loss} in the space file; ",
        ),
        (
            "print('INFO:root:{\"val/loss\": 1}')",
            ValueError,
            "it reported: nothing; a JSON object behind other text is not read: print it alone in its line, or give ",
        ),
        ("print({'val/loss': 1, 'step': 5})\nprint({'val/loss': 1, 'step': 2})", ValueError, "step 2 after step 5"),
    ],
)
def test_exit_codes_and_mistakes_are_errors_whose_first_line_says_it(tmp_path, code, error, said):
    with pytest.raises(error) as raised:
        program(tmp_path, code).losses()
    assert said in str(raised.value)


def test_the_last_lines_stand_in_the_error(tmp_path):
    code = "for i in range(50):\n    print('line', i)\nraise SystemExit(2)"
    with pytest.raises(RuntimeError) as raised:
        program(tmp_path, code).losses()
    assert str(raised.value).splitlines()[2:] == [f"line {i}" for i in range(30, 50)]


# ------------------------------------------------------------------------------------------------------------- hostile


def test_half_a_line_and_garbage_are_no_metrics(tmp_path):
    code = """
import os
os.write(1, b'{"val/loss": 0.5, "st')
os.write(1, bytes(range(256)) * 100 + b"\\n")
os.write(2, b"\\xff\\xfe{\\n")
os.write(1, b'{"val/loss": 0.25}')
"""
    assert [loss for _, _, loss in program(tmp_path, code).losses()] == [0.25]


def test_a_flood_of_output_is_read_and_bounded(tmp_path):
    code = (
        "import sys\nfor _ in range(10):\n    sys.stdout.write(('x' * 99 + '\\n') * 100_000)\nprint({'val/loss': 1})\n"
    )
    mine = program(tmp_path, code)
    assert len(mine.losses()) == 1
    assert sum(path.stat().st_size for path in mine.own.glob("log*")) <= 2 << 20


def test_a_program_that_ignores_sigterm_is_killed_with_its_children(tmp_path):
    code = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen(["sleep", "600"])
daemon = subprocess.Popen(["sleep", "600"], start_new_session=True)
open(os.environ["HPSEARCH_FOLDER"] + "/pids", "w").write(f"{os.getpid()} {child.pid} {daemon.pid}")
print({"val/loss": 1}, flush=True)
time.sleep(600)
"""
    mine = program(tmp_path, code, grace=0.3)
    began = time.monotonic()
    assert len(mine.up_to(1, Command.FINISH)) == 1
    assert time.monotonic() - began < 60
    pids = [int(pid) for pid in (mine.own / "files/pids").read_text().split()]
    wait_for(lambda: not any(alive(pid) for pid in pids), limit=30)


def test_a_program_that_hangs_fails_where_the_file_sets_a_limit(tmp_path):
    code = "import time\nprint({'val/loss': 1})\ntime.sleep(600)\n"
    with pytest.raises(
        RuntimeError, match=r"it printed nothing for 0.5 s \(silence\); its last line: \{'val/loss': 1\}"
    ):
        program(tmp_path, code, silence=0.5, grace=0.1).losses()


def test_a_program_may_end_in_its_time_of_grace(tmp_path):
    code = """
import os, signal, sys, time
def end(*_):
    time.sleep(0.2)
    open(os.environ["HPSEARCH_FOLDER"] + "/saved", "w").write("all")
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
print({"val/loss": 1}, flush=True)
while True:
    time.sleep(0.01)
"""
    mine = program(tmp_path, code)
    training = mine.train()
    next(training)
    training.close()
    assert (mine.own / "files/saved").read_text() == "all"


LAST_WORD = """
import json, os, signal, sys, time
path = os.environ["HPSEARCH_FOLDER"] + "/step"
step = int(open(path).read()) if os.environ["HPSEARCH_RESUME"] == "1" else 0

def count(*given):
    global step
    step += 1
    print(json.dumps({"val/loss": 2.0 ** -step, "step": step, "steps": 8}))
    if given:  # SIGTERM: one more, and then its state
        with open(path, "w") as file:
            file.write(str(step))
        sys.exit(0)

signal.signal(signal.SIGTERM, count)
while step < 8:
    count()
    while step == 3:
        time.sleep(0.01)
"""


def test_what_a_program_prints_while_it_stops_is_in_the_curve(tmp_path):
    """Its state is then later than what was read before: without that line the curve would have a gap."""
    mine = program(tmp_path, LAST_WORD)
    assert mine.up_to(3, Command.PAUSE) == WHOLE[:3]
    assert (mine.own / "files/step").read_text() == "4"
    assert mine.losses() == WHOLE


def test_a_daemon_that_holds_the_pipe_ends_with_the_program(tmp_path):
    code = """
import os, subprocess
daemon = subprocess.Popen(["sleep", "600"], start_new_session=True)
open(os.environ["HPSEARCH_FOLDER"] + "/pids", "w").write(str(daemon.pid))
print({"val/loss": 1}, flush=True)
"""
    mine = program(tmp_path, code)
    assert len(mine.losses()) == 1
    pid = int((mine.own / "files/pids").read_text())
    wait_for(lambda: not alive(pid), limit=30)


def test_python_is_the_one_that_runs_hpsearch(tmp_path):
    code = "import os, sys\nopen(os.environ['HPSEARCH_FOLDER'] + '/python', 'w').write(sys.executable)\n"
    mine = program(tmp_path, code + "print({'val/loss': 1})")
    mine.losses()
    assert os.path.samefile((mine.own / "files/python").read_text(), sys.executable)
