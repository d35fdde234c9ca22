"""How to get each part of a page again: commands, versions and the seed."""

from __future__ import annotations

import platform
import shlex
from collections.abc import Iterator
from importlib import metadata

from derive.cell.reader import shipped, shipped_text
from solvers.report.cell_source import is_changed
from solvers.report.findings import MAP_SECONDS, Asked, Findings
from solvers.report.markup import listing, paragraph, table, text
from solvers.report.part import Part
from solvers.solve import DEFAULT_TOL

PACKAGES = ("gatefield", "numpy", "scipy", "sympy", "mpmath", "contourpy", "matplotlib")

FILE = "cell.toml"
"""What a cell that is not shipped is called in commands."""


def reproduce_part(found: Findings) -> Part:
    """Commands that compute the parts one by one."""
    asked = found.asked
    name = cell_name(asked)
    file = f" Save the cell file above as {name} first." if name == FILE else ""
    intro = (
        f"Each part by itself, with the same numbers.{file} Random draws start from the seed {asked.seed}; the same "
        "cell, parameters, seed and versions give the same page, byte by byte, as long as no part runs out of time."
    )
    versions = [(text(item), text(version)) for item, version in versions_of()]
    lines = "\n".join(commands(found, name))
    return Part("reproduce", "How to reproduce this", (
        paragraph(intro), listing(lines, "Commands"), table("Versions", ["package", "version"], versions),
    ))  # fmt: skip


def cell_name(asked: Asked) -> str:
    """The cell as the command line finds it: a shipped name, changed by options or not, or the name of a file."""
    name = asked.cell.name
    known = name in shipped() and shipped_text(name) == asked.cell.text
    return name if known and (asked.changes or not is_changed(asked.cell)) else FILE


def commands(found: Findings, name: str) -> Iterator[str]:
    """One line each: the page, the derivation, the numbers, the spectrum, the comparison, the map."""
    asked = found.asked
    changes = () if name == FILE else asked.changes  # the file holds them already
    ansatz = [] if asked.ansatz == "static" else ["--ansatz", asked.ansatz]
    point = _parameters(asked, asked.given)
    networks = ["-N", str(asked.N), "--seeds", str(asked.seeds), *(["--seed", str(asked.seed)] if asked.seed else [])]
    tolerance = [] if asked.tol == DEFAULT_TOL else ["--tol", f"{asked.tol:g}"]

    def line(*words: str) -> str:
        return shlex.join(["gatefield", words[0], name, *changes, *words[1:]])

    yield line("report", *ansatz, *point, *networks, *tolerance, *_map_options(asked), "-o", "report.html")
    yield line("derive", *ansatz, "--html", "derivation.html")
    yield line("solve", *ansatz, *point, *tolerance)
    if asked.ansatz == "static":
        yield line("spectrum", *point, *tolerance, "--plot", "spectrum.svg")
    else:
        yield line("spectrum", *ansatz, "--singular", *point, *tolerance)
    yield line("check", *ansatz, *point, *networks, *tolerance)
    if found.chart is not None:
        verb, *options = found.chart.command()
        free = {axis[0] for axis in found.chart.axes}
        others = _parameters(asked, [name for name in asked.given if name not in free])
        yield line(verb, *options, *others, "--plot", "map.svg")


def _parameters(asked: Asked, names: list[str] | tuple[str, ...]) -> list[str]:
    values = ((name, asked.settings.parameters[name]) for name in names)
    return [word for name, value in values for word in ("-p", f"{name}={_exact(value)}")]


def _exact(value: float) -> str:
    """The shortest text that is read as this number."""
    short = f"{value:.12g}"
    return short if float(short) == value else repr(value)


def _map_options(asked: Asked) -> Iterator[str]:
    for option, axis in (("--x", asked.x), ("--y", asked.y)):
        if axis is not None:
            yield from (option, f"{axis[0]}={axis[1]:.12g}:{axis[2]:.12g}:{axis[3]}")
    if asked.map_seconds <= 0:
        yield from ("--map", "none")
        return
    if asked.moving:
        yield from ("--map", "full")
    if asked.map_seconds != MAP_SECONDS:
        yield from ("--map-seconds", f"{asked.map_seconds:g}")


def versions_of() -> Iterator[tuple[str, str]]:
    """Packages on which the numbers and the figures depend."""
    for name in PACKAGES:
        try:
            yield name, metadata.version(name)
        except metadata.PackageNotFoundError:
            yield name, "not installed"
    yield "Python", platform.python_version()
