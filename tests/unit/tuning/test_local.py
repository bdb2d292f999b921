"""What is particular to the engine of this machine: commands, devices, and going on after a kill."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import yaml

from ropewalk.errors import ConfigError, RunError
from ropewalk.tuning.containers import primary_containers
from ropewalk.tuning.following import follow
from ropewalk.tuning.local import JOURNAL, LocalEngine
from ropewalk.tuning.local_command import LocalCommands, LocalConfig
from ropewalk.tuning.parse import parse_experiment, read_experiment
from ropewalk.tuning.render import render_trial
from ropewalk.tuning.results import result_of, trials_table

STAND_IN = """for i in 1 2 3; do
  echo "{\\"loss\\": \\"0.$i$1\\", \\"accuracy\\": \\"0.$i\\"}" >> "$2"
  echo "loss=0.$i accuracy=0.$i lr=$1"
done"""


def _run(folder, experiment, **settings):
    return follow(LocalEngine(folder, LocalConfig(**settings)), experiment, say=lambda _: None)


def test_published_examples_run_with_a_local_command(example, tmp_path):
    experiment = read_experiment(example)
    names = [each.name for each in experiment.trial.parameters if each.name != "momentum"]
    file = experiment.metrics.path or "/dev/null"
    command = ("sh", "-c", STAND_IN, "trial", f"${{trialParameters.{names[0]}}}", file)
    snapshot = _run(tmp_path, experiment, command=command, cpus=2)
    result = result_of(experiment, snapshot)
    assert snapshot.end == "max_trials_reached" or snapshot.end == "goal_reached"
    assert set(result.best_parameters) == {parameter.name for parameter in experiment.parameters}
    states = {trial.state for trial in snapshot.trials}
    assert states <= ({"succeeded", "early_stopped"} if experiment.early_stopping else {"succeeded"})


def test_published_examples_run_the_command_that_the_cluster_would(example, tmp_path):
    experiment = read_experiment(example)
    values = {each.name: each.values[0] if each.values else each.min for each in experiment.parameters}
    rendered = render_trial(experiment, name="trial-1", values=values)
    template = replace(experiment.trial, manifest=rendered)
    expected = primary_containers(template)[0].line
    if example.stem in ("pytorchjob-mnist", "trainjob-pytorch"):
        expected = expected.replace("python3 ", "torchrun --standalone --nproc-per-node=2 ")
    commands = LocalCommands(experiment, LocalConfig(cpus=2))
    trial = commands.trial(tmp_path, name="trial-1", values=values, slot=0)
    assert trial.line == expected.replace("=/katib/", "=./katib/")
    if example.stem == "trial-metadata-substitution":
        facts = ("NAME", "NAMESPACE", "KIND", "API_VERSION", "LABEL_CUSTOM", "ANNOTATION_CUSTOM")
        found = [trial.env[f"TRIAL_{fact}"] for fact in facts]
        assert found == ["trial-1", "kubeflow", "Job", "batch/v1", "custom-label", "custom-annotation"]


def test_a_metrics_file_is_the_trials_own(experiment, tmp_path):
    line = 'printf \'{"loss": "%s"}\\n\' "$0" > /out/m.json'
    trial = {"command": ["sh", "-c", line, "${trialParameters.x}"]}
    made = experiment(trial=trial, metrics={"kind": "File", "path": "/out/m.json", "format": "JSON"})
    snapshot = _run(tmp_path, made)
    assert [trial.observations["loss"].latest for trial in snapshot.trials] == [
        trial.values["x"] for trial in snapshot.trials
    ]


def test_a_metrics_file_that_nothing_names_is_refused(experiment, tmp_path):
    with pytest.raises(ConfigError, match=r"metrics\.path=/out/m: neither command nor env"):
        LocalEngine(tmp_path).start(experiment(metrics={"kind": "File", "path": "/out/m"}))


def test_a_line_that_is_no_json_fails_the_trial(experiment, tmp_path):
    made = experiment("echo loss=1 > /out/m", metrics={"kind": "File", "path": "/out/m", "format": "JSON"})
    snapshot = _run(tmp_path, made)
    assert {trial.state for trial in snapshot.trials} == {"failed"}
    assert "is not JSON" in snapshot.trials[0].message


def test_an_unknown_placeholder_of_the_local_command_is_refused(experiment, tmp_path):
    with pytest.raises(ConfigError, match="has 'y' in a placeholder; known are x"):
        LocalEngine(tmp_path, LocalConfig(command=("a", "${trialParameters.y}"))).start(experiment())


def test_trials_share_processors_and_take_gpus_in_turn(experiment, tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    made = experiment(
        'echo "$OMP_NUM_THREADS $CUDA_VISIBLE_DEVICES $KATIB_TRIAL_NAME"; sleep 0.2; echo loss=1',
        limits={"max_trials": 3, "parallel": 3},
    )
    snapshot = _run(tmp_path, made, cpus=7)
    logs = [(tmp_path / "trials" / trial.name / "trial.log").read_text().splitlines()[0] for trial in snapshot.trials]
    assert logs == ["2 4 bowl-0000", "2 7 bowl-0001", "2 4 bowl-0002"]


def test_no_gpu_is_seen_where_none_is_given(experiment, tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    snapshot = _run(
        tmp_path, experiment('echo "[$CUDA_VISIBLE_DEVICES]"; echo loss=1', limits={"max_trials": 1}), gpus=0
    )
    assert (tmp_path / "trials" / snapshot.trials[0].name / "trial.log").read_text().startswith("[]\n")


@pytest.fixture
def train_job(katib):
    """Return a function that gives an experiment whose trials are TrainJobs of two nodes that run `command`."""

    def make(*command, **trainer):
        values = katib()
        template = values["spec"]["trialTemplate"]
        template["primaryContainerName"] = "node"
        words = [f"${{trialParameters.{each['name']}}}" for each in template["trialParameters"]]
        spec = {"trainer": {"image": "i", "numNodes": 2, "command": [*command, *words], **trainer}}
        template["trialSpec"] = {"apiVersion": "trainer.kubeflow.org/v1alpha1", "kind": "TrainJob", "spec": spec}
        values["spec"] |= {"maxTrialCount": 1, "parallelTrialCount": 1, "maxFailedTrialCount": 1}
        return parse_experiment(values)

    return make


def _log(folder, trial):
    return (folder / "trials" / trial.name / "trial.log").read_text()


def test_a_distributed_job_runs_under_torchrun_with_all_its_processes(train_job, tmp_path):
    script = tmp_path / "rank.py"
    script.write_text(
        "import os\n"
        "print(f\"rank {os.environ['RANK']} of {os.environ['WORLD_SIZE']}, {os.environ['OMP_NUM_THREADS']} threads\")\n"
        "os.environ['RANK'] == '0' and print('loss=0.5 accuracy=1')\n"
    )
    made = train_job("python3", str(script))
    snapshot = _run(tmp_path / "run", made, cpus=6)
    (trial,) = snapshot.trials
    assert (trial.state, trial.observations["loss"].reports) == ("succeeded", 1), _log(tmp_path / "run", trial)
    assert {"rank 0 of 2, 3 threads", "rank 1 of 2, 3 threads"} <= set(_log(tmp_path / "run", trial).splitlines())
    assert "Each trial of this TrainJob has 2 processes under torchrun." in snapshot.notes


def test_there_are_no_more_processes_than_the_machine_has_room_for(train_job, tmp_path, monkeypatch):
    notes = LocalCommands(train_job("python3", "train.py", numProcPerNode=4), LocalConfig(cpus=3)).notes
    assert "has 3 processes under torchrun; the cluster gives 8, so batches there are larger." in notes[1]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    wants = {"resourcesPerNode": {"limits": {"nvidia.com/gpu": 1}}}
    commands = LocalCommands(train_job("python3", "train.py", **wants), LocalConfig(cpus=1))
    trial = commands.trial(tmp_path, name="t", values={"lr": 0.1, "size": 16, "optimizer": "adam"}, slot=0)
    assert trial.line == "torchrun --standalone --nproc-per-node=2 train.py 0.1 16 adam"
    assert trial.env["CUDA_VISIBLE_DEVICES"] == "0,1"


def test_a_distributed_job_of_another_program_is_told_to_run_once(train_job):
    notes = LocalCommands(train_job("./train.sh"), LocalConfig()).notes
    assert "this TrainJob is no single one of Python or torchrun" in notes[1]


def test_what_only_the_cluster_has_is_told(katib):
    values = katib()
    (container,) = values["spec"]["trialTemplate"]["trialSpec"]["spec"]["template"]["spec"]["containers"]
    container["envFrom"] = [{"secretRef": {"name": "store"}}]
    container["volumeMounts"] = [{"name": "data", "mountPath": "/data"}]
    container["workingDir"] = "/app"
    made = parse_experiment(values)
    assert LocalCommands(made, LocalConfig()).notes == (
        "Trials run the command on this machine; the image example.org/train:1 is not used.",
        "The variables of the container's envFrom come from the cluster and are not set here.",
        "The volumes at /data are the cluster's and not mounted here.",
        "Each trial starts in a folder of its own, not in /app.",
    )
    assert len(LocalCommands(made, LocalConfig(command=("./train",))).notes) == 1


def test_a_local_command_replaces_image_and_torchrun(train_job, tmp_path):
    made = train_job("torchrun", "--nnodes=2", "train.py")
    with pytest.raises(ConfigError, match=r"'--nnodes=2', but this machine is one node.*local command"):
        LocalEngine(tmp_path).start(made)
    (trial,) = _run(tmp_path, made, command=("sh", "-c", "echo loss=$0 $#", "${trialParameters.learningRate}")).trials
    assert trial.observations["loss"].latest == trial.values["lr"]


def test_trials_find_the_python_that_runs_the_engine(experiment, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    snapshot = _run(tmp_path, experiment("python -c 'import ropewalk'; echo loss=1; command -v python"))
    assert _log(tmp_path, snapshot.trials[0]).splitlines() == ["loss=1", str(Path(sys.executable).parent / "python")]


def test_the_last_20_lines_of_a_failed_trial_are_kept(experiment, tmp_path):
    made = experiment("i=0; while [ $i -lt 50 ]; do echo line $i; i=$((i + 1)); done; exit 1", limits={"max_trials": 1})
    (trial,) = _run(tmp_path, made).trials
    assert trial.log_tail == tuple(f"line {number}" for number in range(30, 50))
    assert trial.message == "exit code 1"


@pytest.mark.parametrize("setting", [{"seed": -1}, {"cpus": 0}, {"gpus": -1}, {"terminate_seconds": -1.0}])
def test_settings_out_of_range_are_refused(setting):
    with pytest.raises(ConfigError, match=next(iter(setting))):
        LocalConfig(**setting)


def _lives(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize("trap", ["", "trap '' TERM; "])
def test_early_stopping_ends_all_processes_of_the_trial(experiment, tmp_path, trap):
    children = 'sleep 60 & echo $! >> pids; sh -c "sleep 60; true" & echo $! >> pids'
    script = f'case $0 in 9) {children};; esac; echo "loss=$0"; wait'
    made = experiment(
        parameters=[{"name": "x", "type": "categorical", "values": ["1", "9", "0.5"]}],
        algorithm={"name": "grid"},
        limits={"max_trials": 3},
        early_stopping={"settings": {"min_trials_required": "1", "start_step": "1"}},
    )
    command = ("sh", "-c", trap + script, "${trialParameters.x}")
    snapshot = _run(tmp_path, made, command=command, terminate_seconds=0.5)
    assert [trial.state for trial in snapshot.trials] == ["succeeded", "early_stopped", "succeeded"]
    assert snapshot.trials[1].message == "its best is worse than 1, what others had then"
    pids = [int(line) for line in Path(snapshot.trials[1].folder, "work", "pids").read_text().split()]
    assert len(pids) == 2
    assert not any(_lives(pid) for pid in pids)


def test_two_engines_do_not_share_a_folder(experiment, tmp_path):
    made = experiment("sleep 60")
    engine = LocalEngine(tmp_path, LocalConfig(terminate_seconds=1))
    engine.start(made)
    with pytest.raises(RunError, match="is in use"):
        LocalEngine(tmp_path).start(made)
    engine.stop()


@pytest.mark.parametrize("goal", [None, 1.0])
def test_a_trial_that_ended_while_no_engine_looked_is_taken_up_not_repeated(experiment, tmp_path, goal):
    """Taken up before any other starts: it may be the one that ends the experiment."""
    objective = {"metric": "loss", "type": "minimize", "goal": goal}
    made = experiment('echo x >> ../../../count; echo "loss=$0"', objective=objective, limits={"max_trials": 2})
    first = _run(tmp_path, made)
    journal = tmp_path / JOURNAL
    lines = journal.read_text().splitlines(keepends=True)
    last = max(place for place, line in enumerate(lines) if json.loads(line)["event"] == "started")
    journal.write_text("".join(lines[: last + 1]))
    again = _run(tmp_path, made)
    assert (tmp_path / "count").read_text() == "x\n" * (1 if goal else 2)
    assert again.end == first.end == ("goal_reached" if goal else "max_trials_reached")
    assert [trial.observations for trial in again.trials] == [trial.observations for trial in first.trials]
    assert {trial.state for trial in again.trials} == {"succeeded"}


def test_suggestions_that_do_not_repeat_are_refused(experiment, tmp_path):
    made = experiment(limits={"max_trials": 1})
    _run(tmp_path, made)
    journal = tmp_path / JOURNAL
    events = [json.loads(line) for line in journal.read_text().splitlines()]
    events[1]["values"]["x"] = 0.123
    journal.write_text("".join(f"{json.dumps(event)}\n" for event in events))
    with pytest.raises(
        RunError, match=r"trial 0 was started with \{'x': 0.123\}.*use those versions, or another folder"
    ):
        LocalEngine(tmp_path).start(made)


def test_suggestions_that_repeat_but_for_their_last_digits_go_on(experiment, tmp_path):
    """Gaussian processes come out so with another number of threads."""
    made = experiment(limits={"max_trials": 1})
    first = _run(tmp_path, made).trials[0].values["x"]
    journal = tmp_path / JOURNAL
    head, started, *_ = [json.loads(line) for line in journal.read_text().splitlines()]
    started["values"]["x"] = first * (1 + 1e-9)
    journal.write_text(f"{json.dumps(head)}\n{json.dumps(started)}\n")
    (trial,) = _run(tmp_path, made).trials
    assert (trial.values["x"], trial.state) == (first * (1 + 1e-9), "succeeded")


KILLER = """
import os, random, signal, sys, time
from pathlib import Path
import optuna.samplers
from ropewalk.tuning.following import follow
from ropewalk.tuning.local import JOURNAL, LocalEngine
from ropewalk.tuning.parse import read_experiment

spec, folder = Path(sys.argv[1]), Path(sys.argv[2])
experiment = read_experiment(spec)
moments = random.Random(6)

def lines(file):
    return file.read_text().count(chr(10)) if file.exists() else 0

for kill in range(10):
    # Moments are counted from what happens, not from the start, so that a busy machine has them in trials too.
    watched = folder / moments.choice([JOURNAL, "begun"])
    enough = lines(watched) + moments.randint(0, 2)
    child = os.fork()
    if child == 0:
        follow(LocalEngine(folder), experiment, say=lambda _: None)
        os._exit(0)
    while lines(watched) < enough:
        time.sleep(0.001)
    time.sleep(moments.uniform(0, 0.08))
    os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    assert os.WIFSIGNALED(status), "the experiment was over before the last kill"
    print("started" in (folder / JOURNAL).read_text().splitlines()[-1])
"""


def test_ten_kills_leave_the_same_table_and_repeat_no_finished_trial(spec, tmp_path):
    line = 'echo "$KATIB_TRIAL_NAME" >> ../../../begun; sleep 0.05; echo "loss=$0"'
    values = spec(line, algorithm={"name": "tpe"}, limits={"max_trials": 24})
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(values))
    arguments = [tmp_path / "spec.yaml", tmp_path / "killed"]
    kills = subprocess.run([sys.executable, "-c", KILLER, *arguments], check=True, stdout=subprocess.PIPE, text=True)
    assert kills.stdout.split().count("True") > 2, "some kills came while a trial ran"
    made = read_experiment(tmp_path / "spec.yaml")
    killed, whole = _run(tmp_path / "killed", made), _run(tmp_path / "whole", made)
    columns = ["number", "trial", "state", "best", "parameters.x", "metrics.loss", "message"]
    assert trials_table(made, killed).select(columns) == trials_table(made, whole).select(columns)

    events = [json.loads(line) for line in (tmp_path / "killed" / JOURNAL).read_text().splitlines()]
    assert [event["event"] for event in events].count("experiment") == 1
    ended = set()
    for event in events:
        if event["event"] in ("started", "ended"):
            assert event["number"] not in ended
        if event["event"] == "ended":
            ended.add(event["number"])
    assert ended == set(range(24))
    begun = (tmp_path / "killed" / "begun").read_text().splitlines()
    assert len(begun) <= sum(event["event"] == "started" for event in events)


def test_a_metrics_file_of_text_is_read_by_the_filter(experiment, tmp_path):
    made = experiment('echo "loss=$0" > /out/m.log; echo loss=9', metrics={"kind": "File", "path": "/out/m.log"})
    for trial in _run(tmp_path, made).trials:
        assert trial.observations["loss"].latest == trial.values["x"]
