"""The placeholders of a trial's resource: `${trialParameters.NAME}`."""

import re
from collections.abc import Mapping
from typing import Any

PLACEHOLDER = re.compile(r"\$\{trialParameters\.([^}]*)\}")


def names_in(node: Any) -> list[str]:
    """Return the names of all placeholders of a manifest, once each, in the order of their first use."""
    if isinstance(node, str):
        found = PLACEHOLDER.findall(node)
    elif isinstance(node, Mapping):
        found = [name for key, value in node.items() for part in (key, value) for name in names_in(part)]
    elif isinstance(node, list | tuple):
        found = [name for value in node for name in names_in(value)]
    else:
        found = []
    return list(dict.fromkeys(found))


def fill(node: Any, values: Mapping[str, str]) -> Any:
    """Return a copy of a manifest with its placeholders replaced; names that `values` lacks stay as they are."""
    if isinstance(node, str):
        return PLACEHOLDER.sub(lambda match: values.get(match[1], match[0]), node)
    if isinstance(node, Mapping):
        return {fill(key, values): fill(value, values) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return [fill(value, values) for value in node]
    return node
