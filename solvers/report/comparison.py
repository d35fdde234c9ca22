"""Theory against networks on a page: the verdict at the top, and the table behind it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from derive.write.html import HtmlDerivation
from solvers.compare.verdict import AGREES, DISAGREES, INCONCLUSIVE
from solvers.report.figures import CHECK
from solvers.report.findings import Findings, Record
from solvers.report.markup import element, notes, paragraph, table, text
from solvers.report.names import quantity
from solvers.report.part import Part, figures
from solvers.tables.numbers import compact, plus_minus

LOOK = {AGREES: ("✓", "good"), DISAGREES: ("✗", "bad"), INCONCLUSIVE: ("?", "open"), "not checked": ("–", "open")}
"""Sign and class of a verdict; sign and word carry what the colour says."""

HEAD = ["quantity", "theory", "networks, N → ∞", "finite size", "z", "verdict"]


def badge(verdict: str) -> str:
    """A verdict as sign, word and colour."""
    sign, kind = LOOK[verdict]
    return element("span", text(f"{sign} {verdict}"), class_=f"badge {kind}")


def verdict_block(found: Findings) -> str:
    """The answer to the first question: does a real network agree?"""
    asked = found.asked
    question = f"Does a real network of {asked.N} units agree with this theory?"
    lines = [element("p", [element("strong", text(question)), badge(found.verdict)], class_="question")]
    lines.append(paragraph(" ".join(_answer(found))))
    return element("section", lines, class_=f"verdict {LOOK[found.verdict][1]}", aria_label="Verdict")


def _answer(found: Findings) -> Iterator[str]:
    if found.comparison is None:
        yield "There was no time for the comparison."
        return
    rows = found.comparison.as_dict()["rows"]
    counts = {verdict: sum(row["verdict"] == verdict for row in rows) for verdict in (AGREES, DISAGREES, INCONCLUSIVE)}
    shown = [f"{count} {_verb(verdict, count)}" for verdict, count in counts.items() if count]
    if not rows:
        yield "No quantity was compared; the notes of the comparison say why."
    elif counts[AGREES] == len(rows) > 1:
        yield f"All {len(rows)} quantities agree."
    else:
        yield f"Of {len(rows)} {'quantity' if len(rows) == 1 else 'quantities'}, {', '.join(shown)}."
    known = [row for row in rows if row["z"]]
    if known:
        worst = max(known, key=lambda row: abs(row["z"]))
        yield (
            f"The largest difference is that of {worst['quantity']} (solution {worst['solution']}): "
            f"{signed(worst['z'], '.1f')} combined errors."
        )
    yield f"Measured in {found.asked.seeds} networks of {found.asked.N} units, and more of half and a quarter of that."
    if found.solved is not None and not found.converged:
        yield "Not all numbers of the theory converged."


def _verb(verdict: str, count: int) -> str:
    if verdict == INCONCLUSIVE:
        return "is inconclusive" if count == 1 else "are inconclusive"
    return verdict if count == 1 else verdict.removesuffix("s")


def signed(value: float | None, form: str) -> str:
    """A number with its sign, 0 without one; — for none."""
    if value is None:
        return "—"
    return f"{value:+{form}}".replace("-", "−") if float(f"{value:{form}}") else "0"


def comparison_part(found: Findings, shown: HtmlDerivation | None) -> Part:
    """Row by row, with notes and the figure."""
    title = "Theory and networks"
    if found.comparison is None:
        return Part("comparison", title, (paragraph("Not reached: the time was over."),))
    record = found.comparison.as_dict()
    intro = (
        "Networks: the limit of many units, extrapolated from three sizes, ± its standard error over networks; finite "
        "size: that limit minus the fit at N. A row agrees where z, the difference in combined errors, is below three "
        "standard deviations (corrected for the number of rows) and the error is below 2 %."
    )
    blocks = [paragraph(intro)]
    for number in dict.fromkeys(row["solution"] for row in record["rows"]):
        rows = [row for row in record["rows"] if row["solution"] == number]
        blocks.append(table(f"Theory and networks at solution {number}", HEAD, [_row(row, shown) for row in rows]))
    blocks += [*figures(found.of(CHECK)), notes(record.get("notes", ()))]
    return Part("comparison", title, tuple(blocks))


def _row(row: Record, shown: HtmlDerivation | None) -> Sequence[str]:
    cells = [
        compact(row["theory"], row["theory_error"]),
        plus_minus(row["measured"], row["standard_error"]).replace(" ", "\u00a0"),
        signed(row["finite_size"], ".1g"), signed(row["z"], ".1f"),
    ]  # fmt: skip
    return [quantity(row["quantity"], shown), *map(text, cells), badge(row["verdict"])]
