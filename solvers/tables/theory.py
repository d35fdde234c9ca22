"""Results of solve and spectrum as aligned text, from the same objects that JSON prints."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from solvers.tables.numbers import compact, short
from solvers.tables.singular import singular_rows

WIDTH = 100
Record = Mapping[str, Any]
Rows = list[tuple[str, str]]

_MAPS = ("q", "q_total", "Q", "C_star")
_SCALARS = ("chi1", "chi_star", "xi", "spectral_radius", "spectral_abscissa")
_NONE = {
    "spectral_radius": "none (no support)",
    "spectral_abscissa": "none (no support)",
    "xi": "none",
    "chi1": "infinite or unknown",
}


def solved_text(found: Record) -> str:
    """All solutions of ``gatefield solve``."""
    head = f"{found['cell']}, {found['ansatz']} mean field ({found['closure']} closure)"
    return _document(head, found, lambda record: solution_rows(record))


def spectra_text(found: Record) -> str:
    """All solutions of ``gatefield spectrum``."""
    what = "singular values" if found.get("ansatz") == "untied" else "eigenvalues"
    return _document(f"{found['cell']}, {what} of the Jacobian", found, spectrum_rows)


def _document(head: str, found: Record, rows_of: Any) -> str:
    lines = [head, *parameter_lines(found["parameters"]), *notes_lines(found.get("notes", ()))]
    solutions = found["solutions"]
    if not solutions:
        lines += ["", "no solution"]
    for number, record in enumerate(solutions):
        lines += ["", *solution_head(number, record)]
        lines += aligned(rows_of(record))
        lines += notes_lines(record.get("notes", ()))
    return "\n".join(lines) + "\n"


def parameter_lines(parameters: Mapping[str, float]) -> list[str]:
    """``name = value`` pairs, wrapped."""
    pairs = [f"{name}\u00a0=\u00a0{value:.12g}" for name, value in parameters.items()]
    if not pairs:
        return []
    wrapped = textwrap.wrap("parameters: " + ", ".join(pairs), WIDTH, subsequent_indent="  ", break_on_hyphens=False)
    return [line.replace("\u00a0", " ") for line in wrapped]


def notes_lines(notes: Sequence[str]) -> list[str]:
    """Notes, wrapped."""
    return [line for note in notes for line in textwrap.wrap(f"note: {note}", WIDTH, subsequent_indent="  ")]


def solution_head(number: int, record: Record) -> list[str]:
    """``solution 0: stable, converged``, numbered as in JSON."""
    stable = {True: "stable", False: "unstable", None: "stability unknown"}[record.get("stable")]
    if record.get("marginal"):
        stable = "marginally stable"
    text = f"solution {number}: {stable}, {record['verdict']}"
    return textwrap.wrap(text, WIDTH, subsequent_indent="  ")


def solution_rows(record: Record) -> Rows:
    """Every number of a solution with its error."""
    errors = record.get("error", {})
    rows: Rows = []
    for kind in _MAPS:
        for name, value in (record.get(kind) or {}).items():
            rows.append((f"{kind}[{name}]", compact(value, (errors.get(kind) or {}).get(name))))
    return rows + list(_scalars(record, errors)) + list(_points(record, errors))


def spectrum_rows(record: Record) -> Rows:
    """Every number of a spectrum with its error."""
    rows: Rows = [(f"Q[{name}]", short(value)) for name, value in record.get("Q", {}).items()]
    rows += list(_scalars(record, record["error"])) + list(_points(record, record["error"]))
    if "boundary" in record:
        curves = [f"{len(curve)} points, real parts {_range(curve)}" for curve in record["boundary"]]
        rows += [("boundary", text) for text in curves or ["none"]]
    for count in record.get("counts") or ():
        text = compact(count["theory"], count["error"]) + " of all eigenvalues"
        rows.append((f"in {count['region']}", "; ".join([text, *count.get("notes", ())])))
    if density := record.get("density"):
        most = max(value for row in density["rho"] for value in row)
        size = f"{len(density['re'])} x {len(density['im'])} points, up to {compact(most, density['error'])}"
        rows.append(("density", size + " (the values: --json)"))
    return rows + list(singular_rows(record))


def _range(curve: Sequence[Sequence[float]]) -> str:
    real = [point[0] for point in curve]
    return f"{min(real):.6g} to {max(real):.6g}"


def _scalars(record: Record, errors: Record) -> Iterator[tuple[str, str]]:
    eta = record.get("eta")
    for name in _SCALARS:
        if name not in record:
            continue
        value = record[name]
        text = _NONE.get(name, "none") if value is None else compact(value, errors.get(name))
        if value is not None and name.startswith("spectral") and eta:
            text += f"  at resolution eta = {eta:g}"
        yield name, text


def _points(record: Record, errors: Record) -> Iterator[tuple[str, str]]:
    if record.get("filament"):
        low, high = record["filament"]
        yield "filament", f"{short(low)} to {'infinity' if high is None else short(high)} on the real axis"
    for name, label in (("outliers", "outlier"), ("outliers_in_holes", "outlier in a hole")):
        outliers = record.get(name) or ()
        own = errors.get(name) or [None] * len(outliers)
        for (real, imaginary), error in zip(outliers, own, strict=False):
            turned = f" {'+' if imaginary >= 0 else '−'} {abs(imaginary):.8g}i" if imaginary else ""
            yield label, compact(real, error) + turned
    for atom in record.get("atoms") or ():
        share = f"{100 * atom['fraction']:.3g} % of all eigenvalues"
        if "range" in atom:
            yield "atoms", f"{short(atom['range'][0])} to {short(atom['range'][1])}, {share}"
        else:
            real, imaginary = atom["value"]
            yield "atom", f"{short(real)}{f' + {short(imaginary)}i' if imaginary else ''}, {share}"


def aligned(rows: Rows, indent: int = 2) -> list[str]:
    """Two columns; the second is wrapped where it must be."""
    width = max((len(name) for name, _ in rows), default=0)
    lines: list[str] = []
    for name, text in rows:
        head = " " * indent + f"{name:<{width}}  "
        lines += textwrap.wrap(text, WIDTH, initial_indent=head, subsequent_indent=" " * len(head)) or [head.rstrip()]
    return lines
