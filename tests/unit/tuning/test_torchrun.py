"""Distributed jobs on one machine: how many processes, and their command under torchrun."""

import pytest

from ropewalk.errors import ConfigError
from ropewalk.tuning.spec import TrialTemplate
from ropewalk.tuning.torchrun import Processes, processes_of, under_torchrun

GPUS = {"limits": {"nvidia.com/gpu": "4", "memory": "8Gi"}}
RUN = "torchrun --standalone --nproc-per-node=2"
LINES = [
    ("python3 train.py --lr=0.1", f"{RUN} train.py --lr=0.1"),
    ("python -m my.train 'a b; python c'", f"{RUN} -m my.train 'a b; python c'"),
    ("python3.11 -u train.py", f"{RUN} train.py"),
    ("cd a && X=1 python 'my train.py'", f"cd a && X=1 {RUN} 'my train.py'"),
    ("python train.py && echo done", f"{RUN} train.py && echo done"),
    ("/opt/bin/python3 train.py", "/opt/bin/python3 -m torch.distributed.run --standalone --nproc-per-node=2 train.py"),
    ("torchrun train.py", "torchrun train.py"),
    ("torchrun --nnodes=1 train.py", "torchrun --nnodes=1 train.py"),
    ("/opt/bin/torchrun -m my.train", "/opt/bin/torchrun -m my.train"),
    ("python -m torch.distributed.run train.py", "python -m torch.distributed.run train.py"),
    ("python -c 'print(1)'", None),
    ("python -O train.py", None),
    ("./train.sh python x", None),
    ("python prepare.py && python train.py", None),
]


@pytest.mark.parametrize(("line", "expected"), LINES, ids=[line for line, _ in LINES])
def test_a_python_command_runs_under_torchrun_and_torchrun_is_kept(line, expected):
    assert under_torchrun(line, 2) == expected


@pytest.mark.parametrize("option", ["--nnodes=2", "--nnodes 1:4"])
def test_a_command_that_would_wait_for_other_nodes_is_refused(option):
    with pytest.raises(ConfigError, match=f"has '{option}', but this machine is one node"):
        under_torchrun(f"torchrun {option} train.py", 2)


def _job(kind, container, **spec):
    pod = {"spec": {"containers": [{"name": "main", **container}]}}
    if kind == "PyTorchJob":
        workers = {"Master": {"replicas": 1, "template": pod}, "Worker": {"replicas": 3, "template": pod}}
        return {"kind": kind, "spec": {"pytorchReplicaSpecs": workers, **spec}}
    return {"kind": kind, "spec": {"template": pod, **spec}}


@pytest.mark.parametrize(
    ("manifest", "nodes", "per_node", "gpus"),
    [
        ({"kind": "TrainJob", "spec": {"trainer": {"numNodes": 2, "resourcesPerNode": GPUS}}}, 2, 4, 4),
        ({"kind": "TrainJob", "spec": {"trainer": {"numProcPerNode": 3, "resourcesPerNode": GPUS}}}, 1, 3, 4),
        ({"kind": "TrainJob", "spec": {"trainer": {"numProcPerNode": "auto"}}}, 1, 1, 0),
        ({"kind": "TrainJob", "spec": {"runtimeRef": {"name": "torch-distributed"}}}, 1, 1, 0),
        (_job("PyTorchJob", {"resources": GPUS}), 4, 4, 4),
        (_job("PyTorchJob", {}, nprocPerNode="2"), 4, 2, 0),
        (_job("Job", {"resources": {"requests": {"amd.com/gpu": 1}}}), 1, 1, 1),
        (_job("Job", {}), 1, 1, 0),
    ],
)
def test_processes_and_gpus_are_those_that_the_resource_asks_for(manifest, nodes, per_node, gpus):
    template = TrialTemplate(manifest=manifest, parameters=(), primary_container="main")
    assert processes_of(template) == Processes(nodes=nodes, per_node=per_node, gpus=gpus)
