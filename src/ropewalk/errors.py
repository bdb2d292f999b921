"""The error tree.

RopewalkError
├── ConfigError       a setting or parameter is wrong
├── DataError         the user's data cannot be used as it is
├── SourceError       the data's repository, revision or path cannot be had
├── ArtifactError     a step's artifact is missing, unfinished, altered or of another kind
├── StorageError      the disk refused a write
├── TrainingError     training cannot go on
├── StoppedError      the step was told to stop and kept its state: run it again to go on
├── TrackingError     the tracking server or registry refused
├── ClusterError      the Kubernetes cluster refused, or what was started there failed
├── ImageError        a container image cannot be built, pushed or bundled, or is not what its lock says
├── ServiceError      a service is down or slow: trying again may help
└── RunError          a pipeline run or one of its steps failed

Every message says what is wrong, what was found and what to do next.
"""

import difflib
import os
from collections.abc import Iterable

_FEWEST_LETTERS = 3
"""A shorter name is the beginning of too much."""


class RopewalkError(Exception):
    """Base of every error that Ropewalk raises on purpose."""

    exit_code = 1
    """What `python -m ropewalk.<step>` exits with."""


class ConfigError(RopewalkError, ValueError):
    """A setting or parameter is wrong; nothing was started."""


class DataError(RopewalkError):
    """The user's data cannot be used as it is."""


class SourceError(RopewalkError):
    """The data's repository, revision or path cannot be had."""


class ArtifactError(RopewalkError):
    """A step's artifact is missing, unfinished, altered or of another kind."""


class StorageError(RopewalkError):
    """The disk refused a write; what was half-written has been removed."""


class TrainingError(RopewalkError):
    """Training cannot go on."""


class StoppedError(RopewalkError):
    """The step was told to stop (SIGTERM) and kept its state: the same call goes on where it stopped."""

    exit_code = os.EX_TEMPFAIL
    """75, sysexits.h's "try again": what schedulers should run once more."""


class TrackingError(RopewalkError):
    """The tracking server or model registry refused."""


class ClusterError(RopewalkError):
    """The Kubernetes cluster refused, or what was started there failed."""


class ImageError(RopewalkError):
    """A container image cannot be built, pushed or bundled, or is not what its lock says."""


class ServiceError(RopewalkError):
    """A service is down or too slow: the same call may succeed later."""


class RunError(RopewalkError):
    """A pipeline run, or one of its steps, failed."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return " Did you mean 'x'?" for the closest of `known`, else for one that begins so, else ""."""
    names = list(known)
    longer = [each for each in names if len(name) >= _FEWEST_LETTERS and each.startswith(name)]
    likely = difflib.get_close_matches(name, names, n=1, cutoff=0.6) or longer
    return f" Did you mean {likely[0]!r}?" if likely else ""
