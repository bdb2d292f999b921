"""Steps in containers: locked, with what the compiled YAML and `access` give them, and nothing else."""

import contextlib
import os
import re
import shlex
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import docker
from docker.errors import APIError, DockerException, NotFound
from docker.types import DeviceRequest, Mount
from requests.exceptions import RequestException

from ropewalk.errors import RopewalkError, RunError, ServiceError, StorageError
from ropewalk.launch.containers.access import Access, Asked, find_access, texts_of
from ropewalk.launch.containers.limits import SHARED_MEMORY, Limits, read_limits
from ropewalk.launch.containers.ownership import lent, user, user_namespace
from ropewalk.launch.containers.plan import Plan
from ropewalk.launch.containers.sweep import MEMORY_FILES, RUN_LABEL, memory_file_prefix, remove_container
from ropewalk.launch.processes import LineDecoder
from ropewalk.launch.runs import PIPELINE, load_run
from ropewalk.launch.specification import read_specification
from ropewalk.launch.work import Call

TEMPORARY_BYTES = 1024**3
"""Size of /tmp, which is kept in memory, where the YAML mounts no folder of its own there."""
_TEMPORARY = "/tmp"  # noqa: S108 - the container's own
_ENVIRONMENT = "/run/ropewalk-environment"
_OUT_OF_MEMORY = "ropewalk: the kernel killed processes for want of memory:"
# The container's first process gets SIGTERM, which it hands on to all; and it alone outlives an out-of-memory kill.
_FIRST_PROCESS = f"""
[ ! -r {_ENVIRONMENT} ] || . {_ENVIRONMENT}
trap 'kill -TERM -1' TERM
"$@" &
wait $!; code=$?
while kill -0 $! 2>/dev/null; do wait $!; code=$?; done
if [ $code -ne 0 ]; then
    for file in /sys/fs/cgroup/memory.events /sys/fs/cgroup/memory/memory.oom_control; do
        [ -r $file ] || continue
        while read -r name count; do
            [ "$name" != oom_kill ] || [ "$count" = 0 ] || echo "{_OUT_OF_MEMORY} $count"
        done < $file
    done
fi
exit $code
"""


class Containers:
    """Runs the steps of one run in containers."""

    def __init__(self, run_folder: Path, plan: Plan) -> None:
        text = (run_folder / PIPELINE).read_text(encoding="utf-8")
        specification = read_specification(text, source=PIPELINE)
        defaults = {each.name: each.default for each in specification.parameters}
        self._run_folder = run_folder
        self._home = run_folder.parent.parent
        self._plan = plan
        self._limits = read_limits(text)
        self._asked = Asked(
            texts=frozenset(texts_of({**defaults, **load_run(run_folder).parameters})),
            mounts={Path(path): writable for path, writable in plan.mounts.items()},
            network=plan.network,
        )
        self._running: set[str] = set()
        self._stopped = threading.Event()

    @contextmanager
    def start(self, call: Call) -> Iterator["ContainerWork"]:
        """Start a step in a container of its own; with the block it is removed.

        Raises:
            RunError: The engine refuses the container.
            StorageError: The disk is full.
            ServiceError: The engine has stopped, or a repository's server does not answer.
            ConfigError, SourceError: A folder cannot be mounted, or the step's source cannot be had.
        """
        step = call.task.rpartition("/")[2]
        limits = self._limits[step]
        access = find_access(
            step,
            call.inputs.get("inputs", {}).get("parameterValues", {}),
            asked=self._asked,
            set_in_yaml=call.environment,
            secrets=limits.secrets,
        )
        outputs = Path(call.inputs["outputs"]["outputFile"]).parent
        outputs.mkdir(parents=True, exist_ok=True)
        access.allow(self._run_folder)
        access.allow(outputs, writable=True)
        claims = {path: self._home / "volumes" / claim for path, claim in limits.claims.items()}
        for folder in claims.values():
            folder.mkdir(parents=True, exist_ok=True)
        written = [*(path for path, writable in access.folders.items() if writable), *claims.values()]
        kept = [path for path, writable in access.folders.items() if not writable]
        with (
            lent(read=[self._run_folder], written=written, keep=kept),
            tempfile.TemporaryDirectory() as scratch,
            self._variables_in_memory(call, access) as variables,
            contextlib.closing(self._plan.engine.connect()) as client,
        ):
            mounts = [*_mounts(access), *_volumes(limits, claims, Path(scratch)), *variables]
            with self._container(client, call, limits, access, mounts) as container:
                yield ContainerWork(client, container, limits)

    def stop(self) -> None:
        """Stop every container; from then on none is started."""
        self._stopped.set()
        threads = [threading.Thread(target=self._stop_one, args=(each,)) for each in list(self._running)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _stop_one(self, container: str) -> None:
        with contextlib.closing(self._plan.engine.connect()) as client:
            remove_container(client, container)

    @contextmanager
    def _container(
        self, client: docker.DockerClient, call: Call, limits: Limits, access: Access, mounts: list[Mount]
    ) -> Iterator[str]:
        name = re.sub(r"[^a-zA-Z0-9_.-]", ".", f"ropewalk-{self._run_folder.name}-{call.task}")
        with _engine_errors(call.task):
            remove_container(client, name)
            created = client.api.create_container(
                self._plan.images[limits.image],
                ["sh", "-c", _FIRST_PROCESS, "sh", *call.command],
                name=name,
                user=user(),
                working_dir=str(Path.cwd()),
                environment=self._environment(call),
                labels={RUN_LABEL: str(self._run_folder)},
                entrypoint=[],
                host_config=self._host_config(client, limits, access, mounts),
            )
        container = str(created["Id"])
        self._running.add(container)
        try:
            with _engine_errors(call.task):
                if self._stopped.is_set():
                    raise RunError("The run was stopped before this step could start.")
                client.api.start(container)
            yield container
        finally:
            with contextlib.suppress(RequestException):  # with the engine gone, whoever comes next removes it
                remove_container(client, container)
            self._running.discard(container)

    def _host_config(
        self, client: docker.DockerClient, limits: Limits, access: Access, mounts: list[Mount]
    ) -> dict[str, Any]:
        engine = self._plan.engine
        own = {each.path: each for each in limits.folders if each.in_memory}
        shared = own.pop(SHARED_MEMORY, None)
        sizes = {path: each.bytes for path, each in own.items()}
        if _TEMPORARY not in {each.path for each in limits.folders}:
            sizes[_TEMPORARY] = TEMPORARY_BYTES
        processors = min(limits.processors or engine.processors, engine.processors)
        config: dict[str, Any] = client.api.create_host_config(
            mounts=mounts,
            read_only=True,
            tmpfs={path: f"mode=1777,nosuid,nodev{f',size={size}' if size else ''}" for path, size in sizes.items()},
            cap_drop=["ALL"],
            security_opt=["no-new-privileges", *(["label=disable"] if engine.selinux else [])],
            network_mode=access.network or None,
            mem_limit=limits.memory,
            memswap_limit=limits.memory,
            nano_cpus=round(processors * 1e9) if limits.processors else None,
            shm_size=shared.bytes if shared else None,
            device_requests=[DeviceRequest(count=limits.gpus, capabilities=[["gpu"]])] if limits.gpus else None,
        )
        if user_namespace(engine):
            # The docker package knows docker's values only.
            config["UsernsMode"] = user_namespace(engine)
        return config

    def _environment(self, call: Call) -> dict[str, str]:
        return {
            "HOME": _TEMPORARY,
            "TMPDIR": _TEMPORARY,
            "PYTHONUNBUFFERED": "1",
            "PYTHONSAFEPATH": "1",
            # A repository of the caller belongs to another user when the caller is root.
            "GIT_CONFIG_GLOBAL": str(self._git_config()),
            "ROPEWALK_HOME": str(self._home),
            "ROPEWALK_RUN_ID": self._run_folder.name,
            "ROPEWALK_RUN_DIR": str(self._run_folder),
            **call.environment,
        }

    def _git_config(self) -> Path:
        file = self._run_folder / "gitconfig"
        if not file.exists():
            file.write_text("[safe]\n\tdirectory = *\n", encoding="utf-8")
        return file

    @contextmanager
    def _variables_in_memory(self, call: Call, access: Access) -> Iterator[list[Mount]]:
        """Hand over the caller's variables, secrets among them, in a file that is in memory and gone with the block.

        Variables of a container would be written down by the engine.
        """
        if not access.variables:
            yield []
            return
        lines = [f"export {name}={shlex.quote(value)}\n" for name, value in access.variables.items()]
        folder = MEMORY_FILES if MEMORY_FILES.is_dir() else Path(tempfile.gettempdir())
        descriptor, name = tempfile.mkstemp(prefix=memory_file_prefix(self._run_folder), dir=folder)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
                stream.writelines(lines)
            # For root, the group is the container's user.
            Path(name).chmod(0o440)
            yield [Mount(_ENVIRONMENT, name, type="bind", read_only=True)]
        finally:
            Path(name).unlink(missing_ok=True)


class ContainerWork:
    """A step that has been started in a container."""

    def __init__(self, client: docker.DockerClient, container: str, limits: Limits) -> None:
        self._client = client
        self._container = container
        self._limits = limits
        self._out_of_memory = False

    def lines(self) -> Iterator[str]:
        """Yield what it prints, until it has ended."""
        decoder = LineDecoder()
        with _engine_errors("that was running"):
            for chunk in self._client.api.logs(self._container, stream=True, follow=True):
                yield from self._own(decoder.decode(chunk))
        yield from self._own(decoder.rest())

    def end(self) -> tuple[int, str]:
        """Wait for its end; return its exit code and, when memory ran out, that."""
        with _engine_errors("that was running"):
            code = int(self._client.api.wait(self._container)["StatusCode"])
            state = self._client.api.inspect_container(self._container)["State"]
        out_of_memory = self._out_of_memory or bool(state.get("OOMKilled"))
        return code, _memory_ran_out(self._limits.memory) if code and out_of_memory else ""

    def _own(self, lines: list[str]) -> Iterator[str]:
        for line in lines:
            if line.startswith(_OUT_OF_MEMORY):
                self._out_of_memory = True
            else:
                yield line


def _memory_ran_out(limit: int | None) -> str:
    if limit is None:
        return (
            "The step was killed because memory ran out: this machine has too little for it. Close other programs, or "
            "have it use less (smaller batches, fewer parallel trials)."
        )
    return (
        f"The step was killed because memory ran out: it wanted more than its limit of {limit / 2**20:,.0f} MiB "
        f"({limit / 1e9:.3g} GB). Raise the memory that the profile or the pipeline sets for it, or have it use less "
        "(smaller batches, fewer parallel trials)."
    )


def _mounts(access: Access) -> list[Mount]:
    # A folder comes before what lies in it.
    ordered = sorted(access.folders.items(), key=lambda entry: len(entry[0].parts))
    return [Mount(str(path), str(path), type="bind", read_only=not writable) for path, writable in ordered]


def _volumes(limits: Limits, claims: dict[str, Path], scratch: Path) -> Iterator[Mount]:
    for path, folder in claims.items():
        yield Mount(path, str(folder), type="bind")
    for number, each in enumerate(each for each in limits.folders if not each.in_memory):
        folder = scratch / str(number)
        folder.mkdir()
        folder.chmod(0o777)
        yield Mount(each.path, str(folder), type="bind")


@contextmanager
def _engine_errors(task: str) -> Iterator[None]:
    """Tell what the engine does not do for a step."""
    try:
        yield
    except RopewalkError:
        raise
    except NotFound as error:
        raise RunError(f"The container of the step {task} is gone: somebody removed it. Run again.") from error
    except APIError as error:
        said = str(error.explanation or error).strip().rstrip(".")
        if "no space left" in said.lower():
            raise StorageError(
                f"The container of the step {task} cannot be made: no space is left ({said}). Free some space; "
                "`podman system prune` or `docker system prune` removes images and containers that nobody uses."
            ) from error
        raise RunError(f"The container of the step {task} cannot be made: {said}.") from error
    except (DockerException, RequestException) as error:
        raise ServiceError(
            f"The container engine does not answer any more (step {task}): {error}. See that it runs, then run again."
        ) from error
