"""Git for publishing: the tip of a branch with the tags of one name, a commit on top, and both pushed as one."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from ropewalk.data.git import call_git, try_git
from ropewalk.errors import ServiceError, SourceError, StorageError, nearest

Version = tuple[int, int, int]
"""Major, minor and patch."""

_TAG = re.compile(r"^(?P<name>.+)@v(?P<major>0|[1-9]\d*)\.(?P<minor>0|[1-9]\d*)\.(?P<patch>0|[1-9]\d*)$")
_TIP = "refs/remotes/origin/tip"
_AUTHOR = ("Ropewalk", "ropewalk@localhost")
_OVERTAKEN = re.compile(
    r"fetch first|non-fast-forward|stale info|already exists|cannot lock ref|failed to (update ref|lock)|"
    r"incorrect old value|unable to lock|\.lock': File exists|atomic transaction failed"
)
_SERVICE_DOWN = re.compile(
    r"could not resolve host|(couldn't|could not|failed to) connect|connection (refused|reset|timed out)|"
    r"timed? ?out|error: 5\d\d|unexpectedly closed|hung up unexpectedly",
    re.IGNORECASE,
)


@dataclass(frozen=True, kw_only=True)
class Branch:
    """A branch of a repository, its latest files checked out."""

    repository: str
    """A URL, or a folder on this machine."""
    name: str
    """The branch that a push goes to; it may not be there yet."""
    folder: Path
    """The checkout."""


def open_branch(repository: str, name: str, *, tags_of: str, folder: Path) -> Branch:
    """Check the tip of a branch out into the new `folder`, and fetch the version tags of `tags_of`, without history.

    Args:
        repository: A URL, or a folder on this machine.
        name: The branch; "" is the default one; one that is not there starts at the tip of the default one.
        tags_of: The name before the "@" of the tags.
        folder: The folder to make.

    Raises:
        SourceError: There is no such repository, no access to it, or it has no branch to start from.
        ServiceError: The server cannot be reached.
        StorageError: The disk is full.
    """
    listed = call_git("ls-remote", "--symref", "--", repository, "HEAD", "refs/heads/*", repository=repository)
    lines = [line.split("\t") for line in listed.splitlines()]
    branches = [ref.removeprefix("refs/heads/") for _, ref in lines if ref.startswith("refs/heads/")]
    heads = [target.removeprefix("ref: refs/heads/") for target, ref in lines if ref == "HEAD" and "ref: " in target]
    base = name if name in branches else next(iter(heads), "")
    if base not in branches:
        raise SourceError(_no_branch(repository, name, branches))
    call_git("init", "--quiet", "--template=", "--", str(folder), repository=repository)
    wanted = [f"+refs/heads/{base}:{_TIP}", f"+refs/tags/{tags_of}@*:refs/tags/{tags_of}@*"]
    call_git(
        "fetch", "--quiet", "--depth=1", "--no-tags", "--", repository, *wanted, folder=folder, repository=repository
    )
    call_git("checkout", "--quiet", "--detach", _TIP, folder=folder, repository=repository)
    return Branch(repository=repository, name=name or base, folder=folder)


def versions(branch: Branch, name: str) -> dict[Version, str]:
    """Return the tag of each version of `name`, newest version first."""
    listed = call_git("tag", "--list", f"{name}@*", folder=branch.folder, repository=branch.repository)
    matches = [match for match in map(_TAG.match, listed.splitlines()) if match and match["name"] == name]
    found = {(int(match["major"]), int(match["minor"]), int(match["patch"])): match[0] for match in matches}
    return dict(sorted(found.items(), reverse=True))


def tracked_files(branch: Branch) -> list[str]:
    """Return the paths of the files that Git tracks at the tip."""
    listed = call_git("ls-files", "-z", folder=branch.folder, repository=branch.repository)
    return [name for name in listed.split("\0") if name]


def file_at(branch: Branch, revision: str, path: str) -> str:
    """Return the text of the file `path` at `revision`, "" when it has none."""
    shown = try_git(["cat-file", "blob", f"{revision}:{path}"], branch.folder)
    return shown.stdout if shown.returncode == 0 else ""


def commit_of(branch: Branch, revision: str) -> str:
    """Return the commit (40 hex digits) that `revision` names."""
    arguments = ["rev-parse", "--verify", "--end-of-options", f"{revision}^{{commit}}"]
    return call_git(*arguments, folder=branch.folder, repository=branch.repository).strip()


def commit(branch: Branch, files: list[str], message: str) -> bool:
    """Commit `files` on top of the checkout; return whether there was anything to commit."""
    call_git("add", "--force", "--", *files, folder=branch.folder, repository=branch.repository)
    if try_git(["diff", "--cached", "--quiet"], branch.folder).returncode == 0:
        return False
    arguments = ["commit", "--quiet", "--no-verify", "--no-gpg-sign", "--message", message]
    call_git(*_identity(), *arguments, folder=branch.folder, repository=branch.repository)
    return True


def push_with_tag(branch: Branch, tag: str, message: str) -> bool:
    """Tag the checkout's commit and push it to the branch, tag and all; return False when somebody else was faster.

    Raises:
        SourceError: The repository does not take the push.
        ServiceError: The server cannot be reached.
        StorageError: The disk of the repository is full.
    """
    arguments = ["tag", "--annotate", "--no-sign", "--message", message, tag, "HEAD"]
    call_git(*_identity(), *arguments, folder=branch.folder, repository=branch.repository)
    refs = [f"HEAD:refs/heads/{branch.name}", f"refs/tags/{tag}"]
    problem = _push(branch, "--atomic", *refs)
    if "does not support --atomic" in problem:
        # The branch first: a tag that came without its commit on the branch would never be found again.
        problem = _push(branch, refs[0]) or _push(branch, refs[1])
    if not problem:
        return True
    if _OVERTAKEN.search(problem) and "hook declined" not in problem:
        return False
    raise _refused(branch, problem)


def _push(branch: Branch, *arguments: str) -> str:
    """Return what git said of a push that failed, "" when it did not."""
    done = try_git(
        ["push", "--porcelain", "--no-verify", branch.repository, *arguments],
        branch.folder,
        repository=branch.repository,
    )
    return "" if done.returncode == 0 else f"{done.stdout}\n{done.stderr}".strip() or f"exit code {done.returncode}"


def _refused(branch: Branch, problem: str) -> Exception:
    said = _told(problem)
    if "currently checked out" in problem or "refusing to update checked out branch" in problem:
        return SourceError(
            f"{branch.repository} has its branch {branch.name} checked out, so git takes no push to it. Push to a bare "
            "repository (made by `git init --bare` or `git clone --bare`), to a server, or to another branch."
        )
    if "No space left on device" in problem or "Disk quota exceeded" in problem:
        return StorageError(f"Cannot push to {branch.repository}: a disk is full. Free some space and push again.")
    if _SERVICE_DOWN.search(problem):
        return ServiceError(f"{branch.repository} cannot be reached: {said}. Check the network, then push again.")
    return SourceError(
        f"{branch.repository} does not take a push to the branch {branch.name}: {said}. Give git credentials that may "
        "write there (a credential helper, GIT_ASKPASS or an SSH key), or push to another branch."
    )


def _told(problem: str) -> str:
    """Return the lines of git's output that tell why, as one."""
    lines = [line for line in problem.splitlines() if line.startswith(("!", "remote:", "fatal:", "error:"))]
    words = " ".join(lines or problem.splitlines()).replace("fatal: ", "").replace("remote: ", "")
    return " ".join(words.split())[:600].rstrip(".")


def _identity() -> list[str]:
    """Return the settings that name the author when the environment does not."""
    name = os.environ.get("GIT_AUTHOR_NAME", _AUTHOR[0])
    email = os.environ.get("GIT_AUTHOR_EMAIL", _AUTHOR[1])
    return ["-c", f"user.name={name}", "-c", f"user.email={email}"]


def _no_branch(repository: str, name: str, branches: list[str]) -> str:
    if not branches:
        return (
            f"{repository} has no commits yet. In a clone of it run `dvc init`, `dvc remote add --default NAME URL` "
            "and `git commit`, and push that first."
        )
    known = ", ".join(branches[:15])
    return (
        f"{repository} has no default branch to start {name or 'from'!r} at.{nearest(name, branches)} It has {known}."
    )
