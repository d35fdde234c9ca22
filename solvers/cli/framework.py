"""``gatefield framework``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from derive.errors import ParameterError
from derive.frameworks import framework, frameworks
from solvers.budget import BudgetSpent
from solvers.cli.assignments import assignments
from solvers.cli.objects import print_json
from solvers.cli.progress import Progress
from solvers.framework import Default, default_of, solve_default
from solvers.tables.framework import framework_text, list_text


def run(given: argparse.Namespace) -> int:
    """Print the known layers, or what one of them starts with."""
    if given.name is None:
        known = [framework(name) for name in frameworks()]
        if given.json:
            print_json({"frameworks": [{"framework": f.name, "cell": f.cell, "title": f.title} for f in known]})
        else:
            print(list_text(known), end="")
        return 0
    if given.hidden is None:
        framework(given.name)  # an unknown name is the first thing to say
        raise ParameterError(
            f"gains and biases depend on the number of units; write  gatefield framework {given.name} --hidden 512"
        )
    default = default_of(
        given.name, given.hidden, given.input, options=_options(given.option), parameters=assignments(given.parameters)
    )
    return _print(default, given)


def _print(default: Default, given: argparse.Namespace) -> int:
    found = default.as_dict() | {"ansatz": given.ansatz}
    with Progress(f"solving {default.cell.name} ({given.ansatz})"):
        try:
            solved = solve_default(default, ansatz=given.ansatz, tol=given.tol)
            theory, converged = solved.as_dict(), solved.converged
        except BudgetSpent as spent:
            theory, converged = {"closure": "not derived", "solutions": [], "notes": [str(spent)]}, False
    notes = [*default.notes, *theory.get("notes", ())]
    found |= {"closure": theory["closure"], "solutions": theory["solutions"]} | ({"notes": notes} if notes else {})
    if given.json:
        print_json(found)
    else:
        print(framework_text(found, default.initialiser.title), end="")
    return 0 if converged else 3


def _options(pairs: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for pair in pairs:
        name, sign, value = (part.strip() for part in pair.partition("="))
        if not sign or not name or not value:
            raise ParameterError(f"--option {pair[:80]}: this is not NAME=VALUE; write, for example, bias=false")
        if name in found:
            raise ParameterError(f"--option {name} is given twice; every option is set once")
        found[name] = value
    return found
