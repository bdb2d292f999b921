"""Checkpoints: all that training needs to go on as if it had never stopped, as safetensors and JSON; no pickle.

A checkpoint is a manifest that names its files with their SHA-256, and is written after them: what was cut off while it
was written has no manifest, and what was damaged later is not taken. The last checkpoint and the one before are kept,
and the best epoch's weights with them.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from safetensors.torch import load, save
from torch import Tensor

from ropewalk.errors import ArtifactError
from ropewalk.progress import say
from ropewalk.training.distributed import Group
from ropewalk.training.store import Store

FORMAT_VERSION = 1
_KEPT = 2
_MANIFEST = "checkpoint-{:012d}.json"
_STATE = "state-{:012d}.safetensors"
_BEST = "best-{:06d}.safetensors"


@dataclass(frozen=True, kw_only=True)
class Saved:
    """What a checkpoint holds, in main memory."""

    tensors: dict[str, Tensor]
    """Parameters, averages, optimiser, losses of the epoch, random states."""
    best: dict[str, Tensor]
    """Weights of the best epoch; empty before the first one has ended."""
    facts: dict[str, Any]
    """Position, history, best score: plain JSON."""


class Checkpoints:
    """The checkpoints of one training, which rank 0 writes and reads for all."""

    def __init__(self, store: Store, *, fingerprint: str, group: Group) -> None:
        """Use `store`; `fingerprint` names what is trained, on what, and how."""
        self._store = store
        self._fingerprint = fingerprint
        self._group = group
        self._last: int | None = None

    @property
    def last(self) -> str:
        """Where the last good checkpoint is, in words."""
        if self._last is None:
            return "No checkpoint had been written yet"
        return f"The last good checkpoint is that of step {self._last:,} in {self._store.place}"

    def save(self, step: int, saved: Saved, *, best_epoch: int) -> None:
        """Keep `saved` as the state after `step` steps.

        Raises:
            StorageError: The disk is full, over quota or read-only.
            ServiceError: The object store cannot be used.
        """
        if self._group.leads:
            there = self._store.names()
            files = {_STATE.format(step): save(saved.tensors)}
            if saved.best:
                files[_BEST.format(best_epoch)] = save(saved.best)
            for name, file in files.items():
                if name not in there or name.startswith("state"):
                    self._store.write(name, file)
            content = {
                "format_version": FORMAT_VERSION,
                "fingerprint": self._fingerprint,
                "files": {name: _sha256(file) for name, file in files.items()},
                "facts": saved.facts,
            }
            self._store.write(_MANIFEST.format(step), _sealed(content))
            self._forget()
        # Nobody may end, and have the launcher end rank 0, before it is written.
        self._group.leaders(b"kept")
        self._last = step

    def load(self) -> Saved | None:
        """Return the last checkpoint that is whole, or none; the others that are newer are named and passed over."""
        manifest, state, best = b"", b"", b""
        if self._group.leads:
            manifest, state, best = self._newest()
        manifest, state, best = (self._group.leaders(content) for content in (manifest, state, best))
        if not manifest:
            return None
        facts = json.loads(manifest)["content"]["facts"]
        self._last = facts["done"]
        return Saved(tensors=load(state), best=load(best) if best else {}, facts=facts)

    def remove(self) -> None:
        """Remove all checkpoints: the model is written."""
        if self._group.leads:
            self._store.remove()

    def _newest(self) -> tuple[bytes, bytes, bytes]:
        for name in reversed([name for name in self._store.names() if name.startswith("checkpoint-")]):
            try:
                return self._whole(name)
            except (ArtifactError, FileNotFoundError) as error:
                say(f"the checkpoint {name} in {self._store.place} is damaged ({error}); the one before is taken")
        return b"", b"", b""

    def _whole(self, name: str) -> tuple[bytes, bytes, bytes]:
        manifest = self._store.read(name)
        try:
            parsed = json.loads(manifest)
            content = parsed["content"]
        except (ValueError, KeyError, TypeError) as error:
            raise ArtifactError(f"no manifest: {error}") from error
        if _sealed(content) != manifest:
            raise ArtifactError("the manifest has changed since it was written")
        if (content["format_version"], content["fingerprint"]) != (FORMAT_VERSION, self._fingerprint):
            raise ArtifactError("it is of another training or format")
        found = {file: self._store.read(file) for file in content["files"]}
        for file, sha256 in content["files"].items():
            if _sha256(found[file]) != sha256:
                raise ArtifactError(f"{file} has changed since it was written")
        by_kind = {file.split("-")[0]: bytes_ for file, bytes_ in found.items()}
        return manifest, by_kind["state"], by_kind.get("best", b"")

    def _forget(self) -> None:
        """Remove what no checkpoint that is kept needs."""
        manifests = sorted({name for name in self._store.names() if name.startswith("checkpoint-")})
        kept = manifests[-_KEPT:]
        needed = set(kept)
        for name in kept:
            needed |= _files_of(self._store.read(name))
        for name in self._store.names():
            if name not in needed:
                self._store.delete(name)


def _sealed(content: Mapping[str, Any]) -> bytes:
    text = json.dumps(content, sort_keys=True, allow_nan=False)
    return json.dumps({"sha256": _sha256(text.encode()), "content": json.loads(text)}, sort_keys=True).encode()


def _files_of(manifest: bytes) -> set[str]:
    try:
        return set(json.loads(manifest)["content"]["files"])
    except (ValueError, KeyError, TypeError):
        return set()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
