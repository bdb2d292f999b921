"""Plays Kubeflow Trainer on this machine: each node of a TrainJob is a process that runs the job's own command."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from kube_api import KubeApi


class TrainController:
    """Runs the TrainJobs of an API server, as far as one machine can: images, volumes and limits are left aside."""

    def __init__(self, api: KubeApi, environment: dict[str, str]) -> None:
        self.api, self.environment = api, environment
        self.processes: list[subprocess.Popen[str]] = []
        api.on_create, api.on_delete = self.start, self.stop

    def start(self, job: dict[str, Any]) -> None:
        threading.Thread(target=self._run, args=(job,), daemon=True).start()

    def stop(self, job: dict[str, Any]) -> None:
        for process in self.processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)

    def _run(self, job: dict[str, Any]) -> None:
        name, trainer = job["metadata"]["name"], job["spec"]["trainer"]
        nodes, port = trainer["numNodes"], _free_port()
        pods = [self.api.add_pod(job, rank) for rank in range(nodes)]
        # What Trainer's torch plugin sets: torchrun reads its options from these.
        rendezvous = {
            "PET_NNODES": str(nodes),
            "PET_NPROC_PER_NODE": str(trainer["numProcPerNode"]),
            "PET_MASTER_ADDR": "127.0.0.1",
            "PET_MASTER_PORT": str(port),
        }
        given = {entry["name"]: entry["value"] for entry in trainer.get("env", []) if "value" in entry}
        # The kubelet's rule: a doubled dollar sign is one, and keeps $(NAME) from being replaced.
        command = [re.sub(r"\$\$", "$", part) for part in trainer["command"]]
        for rank in range(nodes):
            environment = {**os.environ, **self.environment, **given, **rendezvous, "PET_NODE_RANK": str(rank)}
            environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
            self.processes.append(
                subprocess.Popen(
                    command,
                    env=environment,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    start_new_session=True,
                )
            )
        running = {"name": "node", "ready": 1, "active": 1, "succeeded": 0, "failed": 0, "suspended": 0}
        self.api.set_status(name, jobsStatus=[running])
        readers = [
            threading.Thread(target=self._pass_on, args=(pod, process), daemon=True)
            for pod, process in zip(pods, self.processes, strict=True)
        ]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join()
        if self.api.jobs.get(name) is job and "deletionTimestamp" not in job["metadata"]:
            failed = any(process.returncode for process in self.processes)
            self.api.conclude(name, "Failed" if failed else "Complete", reason="JobsFailed" if failed else "JobsDone")

    def _pass_on(self, pod: dict[str, Any], process: subprocess.Popen[str]) -> None:
        assert process.stdout
        with process.stdout:
            for line in process.stdout:
                self.api.print(pod, line.rstrip("\n"))
        self.api.end_pod(pod, process.wait())


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
