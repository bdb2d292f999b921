"""Whether the code of a step does something else, or only reads differently."""

import ast
from typing import Any


def same_work(before: Any, after: Any) -> bool:
    """Return whether two commands do the same: equal but for comments, docstrings and layout of the Python in them."""
    if not isinstance(before, list) or not isinstance(after, list) or len(before) != len(after):
        return False
    return all(old == new or _same_python(old, new) for old, new in zip(before, after, strict=True))


def _same_python(before: Any, after: Any) -> bool:
    try:
        return ast.dump(_bare(str(before))) == ast.dump(_bare(str(after)))
    except SyntaxError:
        return False


def _bare(source: str) -> ast.Module:
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and _documented(node):
            node.body = node.body[1:] or [ast.Pass()]
    return tree


def _documented(node: ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> bool:
    return ast.get_docstring(node, clean=False) is not None
