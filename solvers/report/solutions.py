"""The solved numbers of a page: every solution with its errors and verdict."""

from __future__ import annotations

from collections.abc import Iterator

from derive.write.html import HtmlDerivation
from solvers.report.findings import Findings, Record
from solvers.report.markup import element, notes, paragraph, table, text
from solvers.report.names import quantity
from solvers.report.part import Part
from solvers.result import CONVERGED
from solvers.tables.theory import solution_rows

STABLE = {True: "stable", False: "unstable", None: "stability unknown"}


def solutions_part(found: Findings, shown: HtmlDerivation | None) -> Part:
    """One table for each solution."""
    title = "Solved numbers"
    if found.solved is None:
        return Part("solutions", title, (paragraph("Not reached: the time was over."),))
    record = found.solved.as_dict()
    count = len(record["solutions"])
    many = "no solution" if not count else "1 solution" if count == 1 else f"{count} solutions"
    intro = (
        f"The mean field has {many} at these parameters ({record['closure']} closure, tolerance {found.asked.tol:g}). "
        "The digit in brackets is the error of the last digit shown."
    )
    blocks = [paragraph(intro), notes(record.get("notes", ()))]
    for number, solution in enumerate(record["solutions"]):
        blocks += _solution(number, solution, shown)
    return Part("solutions", title, tuple(blocks))


def _solution(number: int, record: Record, shown: HtmlDerivation | None) -> Iterator[str]:
    verdict = record["verdict"]
    mark = "good" if verdict == CONVERGED else "bad"
    badge = element("span", text(f"{'✓' if verdict == CONVERGED else '✗'} {verdict}"), class_=f"badge {mark}")
    head = f"Solution {number}: {STABLE[record.get('stable')]}"
    yield element("h3", f"{text(head)} {badge}", id=f"solution-{number}")
    rows = [(quantity(name, shown), text(value)) for name, value in solution_rows(record)]
    yield table(f"Numbers of solution {number}", ["quantity", "value (error)"], rows)
    yield notes(record.get("notes", ()))
