"""Lists as the API server gives them: filtered, sorted, and a page at a time."""

import base64
import json
from collections.abc import Iterable, Mapping
from typing import Any

DEFAULT_PAGE = 20
LARGEST_PAGE = 200
"""backend/src/apiserver/server/list_request_util.go"""
_OPERATIONS = {
    1: "EQUALS",
    2: "NOT_EQUALS",
    3: "GREATER_THAN",
    5: "GREATER_THAN_EQUALS",
    6: "LESS_THAN",
    7: "LESS_THAN_EQUALS",
    8: "IN",
    9: "IS_SUBSTRING",
}


class BadList(ValueError):
    """The request for a list is wrong."""


def page(items: Iterable[dict[str, Any]], query: Mapping[str, str], *, key: str, kind: str) -> dict[str, Any]:
    """Return a page of `items`: {kind: [...], "total_size": n, "next_page_token": token}.

    Args:
        items: Everything that there is.
        query: page_token, page_size, sort_by and filter, as they are in the URL.
        key: Field that identifies an item.
        kind: Name of the list in the answer.
    """
    criteria = {"sort_by": query.get("sort_by", ""), "filter": query.get("filter", "")}
    found = [item for item in items if _matches(item, criteria["filter"])]
    found = _sorted(found, criteria["sort_by"], key)
    size = min(int(query.get("page_size") or DEFAULT_PAGE) or DEFAULT_PAGE, LARGEST_PAGE)
    start = _start(query.get("page_token", ""), criteria)
    answer: dict[str, Any] = {"total_size": len(found)}
    if found[start : start + size]:
        answer[kind] = found[start : start + size]
    if start + size < len(found):
        answer["next_page_token"] = _token(start + size, criteria)
    return answer


def _matches(item: Mapping[str, Any], text: str) -> bool:
    if not text:
        return True
    try:
        predicates = json.loads(text)["predicates"]
    except (ValueError, KeyError, TypeError) as error:
        raise BadList(f"failed to parse valid filter from {text!r}: {error}") from error
    return all(_holds(item, predicate) for predicate in predicates)


def _holds(item: Mapping[str, Any], predicate: Mapping[str, Any]) -> bool:
    operation = predicate.get("operation")
    operation = _OPERATIONS.get(operation, operation)
    # protojson reads both spellings.
    wanted = next((predicate[name] for name in ("string_value", "stringValue") if name in predicate), None)
    if predicate.get("key") not in ("name", "display_name", "state", "status") or wanted is None:
        raise BadList(f"cannot filter by {predicate!r}")
    found = str(item.get(predicate["key"], ""))
    match operation:
        case "EQUALS":
            return found == wanted
        case "NOT_EQUALS":
            return found != wanted
        case "IS_SUBSTRING":
            return wanted in found
    raise BadList(f"unknown operation {operation!r}")


def _sorted(found: list[dict[str, Any]], by: str, key: str) -> list[dict[str, Any]]:
    field, _, direction = by.partition(" ")
    if direction not in ("", "asc", "desc") or field not in ("", "created_at", "name", "display_name", "id"):
        raise BadList(f"Cannot sort on field {by}")
    if not field:
        return found
    field = key if field == "id" else field
    return sorted(found, key=lambda item: str(item.get(field, "")), reverse=direction == "desc")


def _token(start: int, criteria: Mapping[str, str]) -> str:
    return base64.b64encode(json.dumps({"start": start, **criteria}).encode()).decode()


def _start(token: str, criteria: Mapping[str, str]) -> int:
    if not token:
        return 0
    try:
        content = json.loads(base64.b64decode(token))
    except ValueError as error:
        raise BadList("Invalid page token.") from error
    if {name: content[name] for name in criteria} != dict(criteria) and any(criteria.values()):
        raise BadList("page token does not match the supplied sort by and/or filtering criteria.")
    return int(content["start"])
