"""Git by its command line: names a repository, resolves a revision to a commit, checks that commit out.

Nothing that a repository contains is run: no hooks, no submodules, no file-system monitor, no `ext::` transport.
"""

import os
import re
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from ropewalk.data.credentials import GIT_TOKEN, SSH_KEY, git_environment
from ropewalk.errors import ServiceError, SourceError, StorageError, nearest

_SAFE = [
    *("-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "core.symlinks=false"),
    *("-c", "protocol.ext.allow=never", "-c", "submodule.recurse=false", "-c", "core.autocrlf=false"),
    *("-c", "http.lowSpeedLimit=1000", "-c", "http.lowSpeedTime=60"),
]
_FETCH = ["fetch", "--quiet", "--filter=blob:none"]
_LOCAL_SERVER = "git -c uploadpack.allowFilter=true -c uploadpack.allowAnySHA1InWant=true upload-pack"
_REPOSITORY_OF_THE_CALLER = ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_PREFIX"]
_SCP_LIKE = re.compile(r"^[\w.-]+@[\w.-]+:(?!//)")
_COMMIT = re.compile(r"^[0-9a-f]{40}$")
_SHORT_COMMIT = re.compile(r"^[0-9a-f]{4,39}$")
_SERVICE_DOWN = re.compile(
    r"could not resolve host|(couldn't|could not|failed to) connect|connection (refused|reset|timed out)|"
    r"timed? ?out|error: 5\d\d|unexpectedly closed",
    re.IGNORECASE,
)
_NO_ACCESS = re.compile(
    r"authentication failed|could not read (username|password)|permission denied|access denied|error: 40[13]", re.I
)


def is_url(source: str) -> bool:
    """Say whether `source` names a repository by URL or by user@host:path."""
    return "://" in source or bool(_SCP_LIKE.match(source))


def is_local_repository(source: str) -> bool:
    """Say whether `source` is the root folder of a Git repository on this machine, with or without work tree."""
    folder = Path(source)
    return (folder / ".git").exists() or all((folder / name).exists() for name in ("HEAD", "objects", "refs"))


def enclosing_repository(file: Path) -> Path | None:
    """Return the root of the Git work tree that `file` (absolute) lies in, or None."""
    return next((folder for folder in file.parents if (folder / ".git").exists()), None)


def refuse_credentials(url: str) -> None:
    """Refuse a URL with a password or token in it, without repeating that.

    Raises:
        SourceError: There is one.
    """
    parts = urlsplit(url) if "://" in url else None
    if parts and (parts.password is not None or (parts.username and parts.scheme.startswith("http"))):
        bare = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
        raise SourceError(
            f"The URL of {bare} holds a user name, password or token, which would be recorded with the data. "
            f"Give the URL without it, and set {GIT_TOKEN} or {SSH_KEY}, or give git a credential helper."
        )


def resolve(repository: str, revision: str) -> str:
    """Return the commit (40 hex digits, or a shorter beginning of one) that `revision` names now.

    Args:
        repository: A URL, or a folder on this machine.
        revision: A tag, branch or commit; "" is the head of the default branch.

    Raises:
        SourceError: There is no such repository or revision, or no access to it.
        ServiceError: The server cannot be reached.
    """
    listed = call_git("ls-remote", "--", repository, repository=repository)
    refs = {name: commit for commit, name in (line.split("\t") for line in listed.splitlines())}
    if not refs:
        raise SourceError(f"{repository} has no commits yet. Commit the data (or the .dvc files) first.")
    wanted = revision or "HEAD"
    candidates = [f"refs/tags/{wanted}^{{}}", f"refs/tags/{wanted}", f"refs/heads/{wanted}", wanted]
    commit = next((refs[name] for name in candidates if name in refs), None)
    if commit:
        return commit
    if _COMMIT.match(wanted) or _SHORT_COMMIT.match(wanted):
        return wanted
    raise SourceError(_no_such_revision(repository, wanted, refs))


def fetch_commit(repository: str, commit: str, folder: Path) -> str:
    """Fetch what `commit` lists, without history and without the files, into the new `folder`.

    Returns:
        The commit in full.

    Raises:
        SourceError: The repository has no such commit.
        ServiceError: The server cannot be reached.
        StorageError: The disk is full.
    """
    call_git("init", "--quiet", "--template=", "--", str(folder), repository=repository)
    settings = {"url": repository, "promisor": "true", "partialclonefilter": "blob:none"}
    if not is_url(repository) or repository.startswith("file://"):
        settings["uploadpack"] = _LOCAL_SERVER
    for name, value in settings.items():
        call_git("config", f"remote.origin.{name}", value, folder=folder, repository=repository)
    if _COMMIT.match(commit) and _fetch_one(repository, commit, folder):
        return commit
    return _fetch_and_find(repository, commit, folder)


def files_of(folder: Path, commit: str) -> dict[str, str]:
    """Return the mode of every file of `commit`, by path: "120000" is a link, "160000" a submodule."""
    listed = call_git("ls-tree", "-r", "-z", "--full-tree", commit, folder=folder, repository=str(folder))
    entries = (entry.split("\t", 1) for entry in listed.split("\0") if entry)
    return {name: stage.split(" ")[0] for stage, name in entries}


def check_out(repository: str, commit: str, names: Sequence[str], folder: Path) -> None:
    """Put the files `names` of `commit` into `folder`, where `fetch_commit` has put the commit, and fetch no others.

    Raises:
        SourceError: There is no access to the repository any more.
        ServiceError: The server cannot be reached.
        StorageError: The disk is full.
    """
    if not names:
        return
    call_git(
        *("--literal-pathspecs", "checkout", "--quiet", commit, "--pathspec-from-file=-", "--pathspec-file-nul"),
        folder=folder,
        repository=repository,
        given="\0".join(names),
    )


def _fetch_one(repository: str, commit: str, folder: Path) -> bool:
    fetched = try_git([*_FETCH, "--depth=1", "--no-tags", "origin", commit], folder, repository=repository)
    return fetched.returncode == 0


def _fetch_and_find(repository: str, commit: str, folder: Path) -> str:
    """Fetch the whole history, for servers that refuse single commits and for shortened ones."""
    everything = ["+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*"]
    call_git(*_FETCH, "origin", *everything, folder=folder, repository=repository)
    found = try_git(["rev-parse", "--verify", "--quiet", "--end-of-options", f"{commit}^{{commit}}"], folder)
    if found.returncode != 0:
        listed = call_git("for-each-ref", "--format=%(refname)", folder=folder, repository=repository)
        names = [line.replace("refs/remotes/origin/", "refs/heads/") for line in listed.splitlines()]
        raise SourceError(_no_such_revision(repository, commit, names))
    return found.stdout.strip()


def _no_such_revision(repository: str, revision: str, refs: Iterable[str]) -> str:
    names = [name.split("/", 2)[2] for name in refs if name.startswith(("refs/heads/", "refs/tags/"))]
    known = sorted({name.removesuffix("^{}") for name in names})
    shown = ", ".join(known[:15]) + (f" and {len(known) - 15} more" if len(known) > 15 else "")
    return (
        f"{repository} has no branch, tag or commit {revision!r}.{nearest(revision, known)} "
        f"Branches and tags: {shown or 'none'}."
    )


def call_git(*arguments: str, repository: str, folder: Path | None = None, given: str = "") -> str:
    """Return what `git ARGUMENTS` prints; raises SourceError, ServiceError or StorageError when it fails."""
    done = try_git(list(arguments), folder, given=given, repository=repository)
    if done.returncode == 0:
        return done.stdout
    said = (
        " ".join(done.stderr.replace("fatal: ", "").split()).rstrip(".")
        or f"git {arguments[0]} ended with exit code {done.returncode}"
    )
    if "No space left on device" in said or "Disk quota exceeded" in said:
        raise StorageError(f"Cannot copy {repository}: the disk is full. Free some space (TMPDIR) and run again.")
    if _SERVICE_DOWN.search(said):
        raise ServiceError(f"{repository} cannot be reached: {said}. Check the network, then try again.")
    if _NO_ACCESS.search(said):
        raise SourceError(
            f"There is no access to {repository}: {said}. Set {GIT_TOKEN} for an https address, {SSH_KEY} (the path of "
            "a private key) for SSH, or give git a credential helper."
        )
    raise SourceError(f"{repository} cannot be read as a Git repository: {said}. Check the address.")


def try_git(
    arguments: list[str], folder: Path | None, *, given: str = "", repository: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run `git ARGUMENTS` without hooks and prompts, and return how it ended."""
    place = [] if folder is None else ["-C", str(folder)]
    environment = {name: value for name, value in os.environ.items() if name not in _REPOSITORY_OF_THE_CALLER}
    environment |= {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C", "GIT_LFS_SKIP_SMUDGE": "1"}
    environment |= git_environment(repository)
    command = ["git", *_SAFE, *place, *arguments]
    try:
        return subprocess.run(
            command,
            env=environment,
            input=given,
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",
            check=False,
        )
    except FileNotFoundError as error:
        raise SourceError("The program git is not installed; it is needed to read a Git repository.") from error
