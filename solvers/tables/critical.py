"""Results of ``gatefield critical`` as text, from the same object that JSON prints."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from solvers.tables.numbers import compact, short
from solvers.tables.theory import WIDTH, Rows, aligned, notes_lines, parameter_lines

Record = Mapping[str, Any]

_WHAT = {
    "chi1": "chi1 = 1",
    "spectral_radius": "spectral radius = 1",
    "spectral_abscissa": "spectral abscissa = 0",
}


def critical_text(found: Record) -> str:
    """Points with their numbers, or curves as tables; folds, closed forms and notes."""
    free = " and ".join(found["free"])
    lines = [f"{found['cell']}, {found['ansatz']}: {_WHAT[found['criterion']]}, free {free}"]
    lines += parameter_lines(found["parameters"])
    ranges = ", ".join(f"{name} from {low:g} to {high:g}" for name, (low, high) in found["free"].items())
    lines += [f"searched: {ranges}", *notes_lines(found.get("notes", ()))]
    lines += list(_closed(found))
    if len(found["free"]) == 1:
        lines += [*_points(found), *_branches(found)]
    else:
        lines += _curves(found)
    return "\n".join(lines) + "\n"


def _closed(found: Record) -> Iterator[str]:
    for form in found.get("closed_form", ()):
        value = f"   ({next(iter(found['free']))} = {form['value']:.10g})" if "value" in form else ""
        yield ""
        yield f"closed form, {form['rule']}: {form['equation']}{value}"


def _points(found: Record) -> list[str]:
    if not found["critical"]:
        return ["", "no critical point in this range"]
    lines: list[str] = []
    for number, record in enumerate(found["critical"]):
        state = "the zero state" if record["state"] == "zero" else f"branch {record['branch']}"
        attracting = "" if record["attracting"] else ", repelling"
        lines += ["", *textwrap.wrap(f"critical point {number}: {state}{attracting}, {record['verdict']}", WIDTH,
                                     subsequent_indent="  ")]  # fmt: skip
        lines += aligned(_rows(found, record)) + notes_lines(record.get("notes", ()))
    return lines


def _rows(found: Record, record: Record) -> Rows:
    error = record["error"]
    rows: Rows = [(name, compact(record[name], error[name])) for name in (*found["free"], found["criterion"])]
    for re, im in record.get("outliers", ()):
        rows.append(("outlier", f"{short(re)}{f' + {short(im)}i' if im else ''}"))
    if "decides" in record:
        rows.append(("decides", record["decides"]))
    rows.append(("isometry_variance", compact(record["isometry_variance"], error["isometry_variance"])))
    return rows + [(f"Q[{state}]", compact(value, error["Q"][state])) for state, value in record["Q"].items()]


def _branches(found: Record) -> Iterator[str]:
    (name,) = found["free"]
    yield ""
    for branch in found["branches"]:
        low, high = branch[name]
        what = "zero state" if branch["state"] == "zero" else "solutions"
        yield f"branch {branch['branch']}: {what} from {name} = {low:.6g} to {high:.6g}"
    for fold in found["folds"]:
        text = f"fold of branch {fold['branch']} at {name} = {compact(fold[name], fold['error'][name])}"
        if fold["discontinuous"]:
            text += ": beyond it moments go to a solution on the other side of criticality, a discontinuous crossing"
        yield from textwrap.wrap(text, WIDTH, subsequent_indent="  ")


def _curves(found: Record) -> list[str]:
    if not found["curves"]:
        return ["", "no critical curve in this range"]
    lines: list[str] = []
    names = list(found["free"])
    for curve in found["curves"]:
        first, last = curve["points"]
        kind = "closed curve" if curve["closed"] else f"curve from {curve['ends'][0]} to {curve['ends'][1]}"
        state = ", zero state" if curve["state"] == "zero" else ""
        lines += ["", *textwrap.wrap(f"{curve['branch']}: {kind}{state}, {last - first} points", WIDTH,
                                     subsequent_indent="   ")]  # fmt: skip
        lines.append("  " + "  ".join(f"{head:<18}" for head in (*names, "isometry_variance")).rstrip())
        for k in range(first, last):
            lines.append(_curve_row(found, names, k))
    return lines


def _curve_row(found: Record, names: list[str], k: int) -> str:
    record = found["critical"][k]
    shown = [_nine(record[name], record["error"][name]) for name in names]
    shown.append(_nine(record["isometry_variance"], record["error"]["isometry_variance"]))
    text = "  " + "  ".join(f"{value:<18}" for value in shown).rstrip()
    marks = ["nearest to isometry"] if k == found["best"] else []
    marks += [] if record["verdict"] == "converged" else ["not converged"]
    marks += ["an outlier decides"] if record.get("decides") == "outlier" else []
    return text + (f"  <- {', '.join(marks)}" if marks else "")


def _nine(value: float | None, error: float | None) -> str:
    """Nine digits where the error is below them, else the value with its error."""
    if value is not None and error is not None and error < 1e-9 * max(abs(value), 1e-3):
        return f"{value:.9g}"
    return compact(value, error)
