"""The shape of the source tree: who may import what, no cycles, no names of cells, no oversized files."""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from pathlib import Path

import pytest

from derive import shipped

ROOT = Path(__file__).resolve().parent.parent
FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for package in ("derive", "solvers")
    for path in sorted((ROOT / package).rglob("*.py"))
}
LONGEST = 420

SYMPY_IN_SOLVERS = {
    # Generated code; expressions of averages; and the symbols by which a theory names its unknowns.
    "solvers.averages",
    "solvers.census.residual",
    "solvers.chain.model",
    "solvers.chain.streams",
    "solvers.codegen.average_source",
    "solvers.codegen.emit",
    "solvers.grid.compile",
    "solvers.grid.edge",
    "solvers.grid.engine",
    "solvers.grid.program",
    "solvers.codegen.lower",
    "solvers.critical.criterion",
    "solvers.critical.problem",
    "solvers.critical.zero_state",
    "solvers.dynamics.filter_model",
    "solvers.dynamics.sampled_model",
    "solvers.dynamics.search",
    "solvers.equations",
    "solvers.export",
    "solvers.factor_pair",
    "solvers.form_law",
    "solvers.gaussian_geometry",
    "solvers.mean_field_draw",
    "solvers.measure.columns",
    "solvers.measure.static",
    "solvers.parity",
    "solvers.singular.recursion",
    "solvers.replicas",
    "solvers.result",
    "solvers.rough_pair",
    "solvers.site_roots",
    "solvers.solution",
    "solvers.spectrum.conditional",
    "solvers.spectrum.density.pattern",
    "solvers.spectrum.gain",
    "solvers.spectrum.lambda_average",
    "solvers.spectrum.symbolic_moments",
    # Hand formulas: claims are expressions of a theory.
    "solvers.verify.balls",
    "solvers.verify.boundary",
    "solvers.verify.check_formula",
    "solvers.verify.diagnose",
    "solvers.verify.evaluate",
    "solvers.verify.judge",
    "solvers.verify.names",
    "solvers.verify.points",
    "solvers.verify.precise",
}

ORDINARY_WORDS = {"rate"}
"""Shipped names that are words of the language as well; only a string that is one of them counts."""


def imports(path: Path) -> set[str]:
    """Modules a file imports anywhere, except for type checking only."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    found: set[str] = set()
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            assert node.module is not None
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= (inner & set(FILES)) or {node.module}
    return found


IMPORTS = {name: imports(path) for name, path in FILES.items()}


def importers(package: str) -> set[str]:
    return {name for name, found in IMPORTS.items() if any(item.split(".")[0] == package for item in found)}


def test_derive_needs_sympy_and_the_standard_library_only() -> None:
    allowed = set(sys.stdlib_module_names) | {"sympy", "derive"}
    for name, found in IMPORTS.items():
        if name.split(".")[0] == "derive":
            assert {item.split(".")[0] for item in found} <= allowed, name


def test_reading_a_cell_needs_the_standard_library_only() -> None:
    allowed = set(sys.stdlib_module_names) | {"derive"}
    for name, found in IMPORTS.items():
        if name.startswith("derive.cell") or name in ("derive", "derive.errors", "derive.write.cell_text"):
            assert {item.split(".")[0] for item in found} <= allowed, name


def test_who_imports_sympy_in_solvers() -> None:
    found = {name for name in importers("sympy") if name.startswith("solvers")}
    assert found <= SYMPY_IN_SOLVERS, found - SYMPY_IN_SOLVERS


def test_finite_networks_know_no_theory() -> None:
    for name, found in IMPORTS.items():
        if name.startswith("solvers.simulate"):
            own = {item for item in found if item.split(".")[0] in ("derive", "solvers", "sympy")}
            allowed = r"derive\.(cell|errors)|solvers\.(simulate|budget)"
            foreign = {item for item in own if not re.match(allowed, item)}
            assert not foreign, name


def test_only_the_plots_import_matplotlib() -> None:
    assert importers("matplotlib") == {
        *("solvers.plots.spectrum", "solvers.plots.branches", "solvers.plots.critical", "solvers.plots.phase"),
        "solvers.plots.sweep",
    }


def test_numba_is_needed_for_speed_only() -> None:
    assert importers("numba") == {"solvers.grid.scalar"}


def test_only_the_bridge_imports_torch_and_nothing_imports_the_bridge() -> None:
    assert all(name.startswith("solvers.bridge") for name in importers("torch"))
    for name, found in IMPORTS.items():
        if not name.startswith("solvers.bridge"):
            assert not any(item.startswith("solvers.bridge") for item in found), name


def test_no_other_package_is_needed() -> None:
    allowed = set(sys.stdlib_module_names) | {
        *("derive", "solvers", "sympy", "mpmath", "numpy", "scipy", "flint", "contourpy", "matplotlib", "torch"),
        *("threadpoolctl", "xarray", "zarr", "google_crc32c", "distributed", "numba"),
    }
    for name, found in IMPORTS.items():
        assert {item.split(".")[0] for item in found} <= allowed, name


def test_there_is_no_cycle() -> None:
    graph = {name: {item for item in found if item in FILES and item != name} for name, found in IMPORTS.items()}
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " -> ".join([*trail[trail.index(name) :], name])
        if name in done:
            return
        for item in sorted(graph[name]):
            visit(item, (*trail, name))
        done.add(name)

    for name in sorted(graph):
        visit(name, ())


def tokens(path: Path) -> list[tokenize.TokenInfo]:
    return list(tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline))


@pytest.mark.parametrize("name", sorted(FILES))
def test_no_module_names_a_shipped_cell(name: str) -> None:
    for token in tokens(FILES[name]):
        words = set(re.findall(r"[A-Za-z][A-Za-z0-9-]*", token.string.replace("_", "-").lower()))
        words |= set(re.findall(r"[a-z]+", token.string.lower()))
        assert not words & (set(shipped()) - ORDINARY_WORDS), f"{name}, line {token.start[0]}: {token.string[:80]}"
        if token.type == tokenize.STRING:
            assert token.string.strip("rbfuRBFU").strip("\"'") not in shipped(), f"{name}, line {token.start[0]}"


def test_files_are_small_and_named_for_what_they_do() -> None:
    for name, path in FILES.items():
        assert path.read_text(encoding="utf-8").count("\n") <= LONGEST, name
        assert path.stem not in ("utils", "util", "helpers", "misc", "common"), name


TEXTS = [
    path
    for path in sorted(ROOT.rglob("*"))
    if path.is_file()
    and path.suffix in (".py", ".md", ".toml", ".tex", "")
    and not any(part.startswith(".") and part != ".ci" for part in path.relative_to(ROOT).parts)
    and "egg-info" not in str(path)
    and "build" not in path.relative_to(ROOT).parts
]
FOREIGN = [
    *("cl" + "aude", "anth" + "ropic", "cop" + "ilot", "chat" + "gpt", "open" + "ai", "l" + "lm"),
    *("github" + ".com", "pypi" + ".org", "/" + "work/", "/" + "home/"),
]
"""Names of tools and hosts, and paths of one machine; written in two halves so that this file passes as well."""


def test_no_foreign_words() -> None:
    for path in TEXTS:
        text = path.read_text(encoding="utf-8").lower()
        for word in FOREIGN:
            pattern = re.escape(word) if "/" in word or "." in word else rf"\b{word}\b"
            assert not re.search(pattern, text), f"{path.relative_to(ROOT)}: {word}"
