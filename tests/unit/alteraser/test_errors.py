"""The error tree: what its docstring draws, and that facts are kept."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

from alteraser import errors


def _drawn() -> list[tuple[str, str]]:
    """(parent, class) as the docstring draws them, in order."""
    found, ancestors = [], ["Exception"]
    for indent, name in re.findall(r"^    ([│├└─ ]*)(\w+)", errors.__doc__ or "", re.MULTILINE):
        depth = 1 + len(indent) // 4
        del ancestors[depth:]
        found.append((ancestors[-1], name))
        ancestors.append(name)
    return found


def test_the_docstring_draws_the_tree_there_is() -> None:
    classes = [cls for _, cls in inspect.getmembers(errors, inspect.isclass) if issubclass(cls, Exception)]
    assert sorted(_drawn()) == sorted((cls.__bases__[0].__name__, cls.__name__) for cls in classes)


def test_an_error_keeps_its_facts() -> None:
    error = errors.NotConverged(phase="newton", residual=0.25, tolerance=1e-4, steps=7)
    assert (error.phase, error.residual, error.tolerance, error.steps) == ("newton", 0.25, 1e-4, 7)
    assert str(error) == "newton: residual 0.25 after 7 steps, tolerance 0.0001 not reached"


def test_a_malformed_line_names_file_and_line_number() -> None:
    error = errors.MalformedLine(Path("u.data"), 12, "the user is empty")
    assert str(error) == "u.data: line 12: the user is empty"
    assert (error.path, error.line_number, error.reason) == (Path("u.data"), 12, "the user is empty")
