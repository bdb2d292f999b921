"""The cluster engine in a step that is killed or terminated: what stays, and what the next attempt does."""

import json
import os
import random
import signal
import subprocess
import sys

import pytest

GROUP = "kubeflow.org"
TRIALS = KILLS = 10
STEP = """
import json, sys
from ropewalk.cluster.connect import connect
from ropewalk.cluster.patience import Patience
from ropewalk.tuning.following import follow
from ropewalk.tuning.katib_config import KatibConfig
from ropewalk.tuning.katib_engine import KatibEngine
from ropewalk.tuning.parse import parse_experiment
patience = Patience(shortest_poll=0.02, longest_poll=0.5, first_retry=0.05)
engine = KatibEngine(KatibConfig(), connect(patience=patience, role="tuning"))
snapshot = follow(engine, parse_experiment(json.loads(sys.argv[1])), say=lambda line: print(line, flush=True))
print("table", [(each.values["what"], each.state) for each in snapshot.trials])
"""


@pytest.fixture
def step(spec, tmp_path):
    """Return a function that starts the step in a process of its own; its trials note that they ran.

    A trial ends once there is a file `mark.go.<number>`.
    """
    started = []
    line = 'echo x >> "$MARK.$0"; until [ -e "$MARK.go.$0" ]; do sleep 0.02; done; echo "loss=$0"'
    words = [str(number) for number in range(TRIALS)]
    content = json.dumps(
        spec(
            parameters=[{"name": "what", "type": "categorical", "values": words}],
            algorithm={"name": "grid"},
            limits={"max_trials": len(words)},
            trial={"command": ["sh", "-c", line, "${trialParameters.what}"], "env": {"MARK": str(tmp_path / "mark")}},
        )
    )

    def start():
        process = subprocess.Popen(
            [sys.executable, "-c", STEP, content], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_a_step_that_is_killed_at_random_moments_has_one_experiment_and_repeats_nothing(katib_api, step, tmp_path):
    """The first one is killed while it waits for the answer to its creation; the others after some request.

    A trial ends, and the next one starts, while nobody looks.
    """
    for number, requests in enumerate((1, *random.Random(5).sample(range(2, 15), KILLS - 1))):
        process, seen = step(), len(katib_api.asked)
        katib_api.wait_for(lambda most=seen + requests: len(katib_api.asked) >= most, 60)
        process.kill()
        process.wait()
        (tmp_path / f"mark.go.{number}").touch()
    said, _ = step().communicate(timeout=60)
    table = [(str(number), "succeeded") for number in range(TRIALS)]
    assert f"table {table}" in said, said
    assert len({each["metadata"]["uid"] for each in katib_api.all_of("experiments")}) == 1
    assert [(tmp_path / f"mark.{number}").read_text().count("x") for number in range(TRIALS)] == [1] * TRIALS
    assert len(katib_api.sent) == KILLS + 1


def test_a_step_that_is_terminated_takes_its_experiment_with_it(katib_api, step):
    process = step()
    katib_api.wait_for(lambda: (GROUP, "trials", "list") in katib_api.asked, 40)
    os.kill(process.pid, signal.SIGTERM)
    process.communicate(timeout=40)
    assert process.returncode != 0
    katib_api.wait_for(lambda: not katib_api.all_of("experiments"))
