"""What is said while an experiment runs."""

from dataclasses import replace

from ropewalk.tuning.following import follow, progress_line
from ropewalk.tuning.local import LocalEngine


def test_each_trial_the_whole_and_the_logs_of_failures_are_told(experiment, tmp_path):
    said = []
    made = experiment(
        'case "$0" in bad) echo broken; exit 2;; *) echo "loss=$0";; esac',
        parameters=[{"name": "x", "type": "categorical", "values": ["0.5", "bad", "0.25"]}],
        algorithm={"name": "grid"},
        limits={"max_trials": 3},
    )
    follow(LocalEngine(tmp_path), made, say=said.append)
    text = "\n".join(said)
    assert "bowl-0000 succeeded: loss=0.5 with x=0.5\n" in text
    assert "bowl-0001 failed: with x=bad (exit code 2)\n    broken\n" in text
    assert (
        said[-1] == "3 of 3 trials done (1 failed), 0 running, best loss 0.2500 (bowl-0002), over: max trials reached"
    )


def test_what_has_ended_before_is_counted_when_it_goes_on(experiment, tmp_path):
    said = []
    follow(LocalEngine(tmp_path), experiment(), say=lambda _: None)
    follow(LocalEngine(tmp_path), experiment(), say=said.append)
    assert said[0] == "bowl: 4 trials have ended so far."


def test_the_time_that_is_left_is_estimated_from_the_trials_so_far(experiment, snapshot_of):
    made = experiment(limits={"max_trials": 10, "parallel": 2})
    running = replace(snapshot_of([0.5], [0.25], [0.125], states={2: "running"}), end=None)
    assert progress_line(made, running) == ("2 of 10 trials done, 1 running, best loss 0.2500 (t-1), about 8.0 s left")


def test_no_time_is_promised_that_is_shorter_than_a_second(experiment, snapshot_of):
    made = experiment(limits={"max_trials": 4, "parallel": 4})
    running = replace(snapshot_of([0.5], [0.25], [0.125], states={1: "early_stopped", 2: "stopped"}), end=None)
    assert progress_line(made, running) == "3 of 4 trials done, 0 running, best loss 0.5000 (t-0), about 1.0 s left"


def test_what_the_engine_does_otherwise_is_told_first(katib, tmp_path):
    from ropewalk.tuning.local_command import LocalConfig
    from ropewalk.tuning.parse import parse_experiment

    said = []
    values = katib()
    (container,) = values["spec"]["trialTemplate"]["trialSpec"]["spec"]["template"]["spec"]["containers"]
    container["command"][:2] = ["echo", "loss=0.5"]
    container["env"] = [{"name": "NOT_SET_HERE", "valueFrom": {"secretKeyRef": {"name": "a", "key": "b"}}}]
    follow(LocalEngine(tmp_path, LocalConfig(cpus=1)), parse_experiment(values), say=said.append)
    assert "the image example.org/train:1 is not used" in said[0]
    assert "NOT_SET_HERE come from the cluster" in said[1]


def test_what_the_engine_finds_out_later_is_told_then_and_once(experiment, snapshot_of):
    class Engine:
        name = "told"

        def __init__(self):
            over = snapshot_of([0.5], [0.25])
            self.snapshots = [
                replace(over, end=None, notes=("first",)),
                replace(over, end=None, notes=("first", "later")),
                replace(over, notes=("first", "later")),
            ]

        def start(self, experiment):
            pass

        def poll(self):
            return self.snapshots.pop(0)

    said = []
    follow(Engine(), experiment(), say=said.append)
    assert [line for line in said if line.startswith("note: ")] == ["note: first", "note: later"]
