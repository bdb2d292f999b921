"""A step's container in the YAML's first document: resources and variables, in the fields of KFP's own compiler."""

from typing import Any

from ropewalk.launch.profiles.resolve import Gifts
from ropewalk.launch.profiles.step_config import bytes_of, cores

_GIGABYTE = 1e9


def set_container(container: dict[str, Any], gifts: Gifts) -> None:
    """Put resources and plain variables into `container`; what the profile says comes before what is there."""
    env = [{"name": one.env, "value": one.value} for one in gifts.variables]
    if env:
        given = {entry["name"] for entry in env}
        container["env"] = [*(each for each in container.get("env", []) if each["name"] not in given), *env]
    if resources := _resources(gifts):
        container["resources"] = {**container.get("resources", {}), **resources}


def _resources(gifts: Gifts) -> dict[str, Any]:
    """Return each amount twice: as servers before KFP 2.4 read it, a number, and as later ones do, a text."""
    config = gifts.config
    made: dict[str, Any] = {}
    for name, text in (("cpuLimit", config.cpu), ("cpuRequest", config.cpu_request)):
        if text is not None:
            made |= {name: cores(text), f"resource{name[0].upper()}{name[1:]}": text}
    for name, text in (("memoryLimit", config.memory), ("memoryRequest", config.memory_request)):
        if text is not None:
            made |= {name: bytes_of(text) / _GIGABYTE, f"resource{name[0].upper()}{name[1:]}": text}
    if config.gpus:
        count = str(config.gpus)
        made["accelerator"] = {
            "count": count,
            "resourceCount": count,
            "resourceType": gifts.gpu_resource,
            "type": gifts.gpu_resource,
        }
    return made
