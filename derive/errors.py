"""Every error a user can meet, in one family.

A message has four parts (place, offending text with a caret, the rule, the edit that
mends it) when text was wrong, and three (what was reached and asked, likely causes,
the call to make for each) when a computation failed.
"""

from __future__ import annotations


class GatefieldError(Exception):
    """Base of every error raised on purpose; its text is fit to be shown to a user."""


class CellError(GatefieldError):
    """A cell file breaks a rule of the cell format.

    Attributes
    ----------
    path : name of the file (or ``<text>``)
    line : 1-based line in the file
    column : 1-based first column of the offending text
    rule : the rule that is broken, one sentence
    mend : the edit that mends it
    """

    def __init__(
        self,
        what: str,
        *,
        path: str,
        line: int,
        source: str = "",
        column: int = 1,
        width: int = 1,
        rule: str = "",
        mend: str = "",
    ) -> None:
        self.what, self.path, self.line, self.column = what, path, line, column
        self.rule, self.mend = rule, mend
        lines = [f"{path}, line {line}: {what}"]
        if source.strip():
            shown, start = _window(source.rstrip("\n"), column, width)
            lines.append("    " + shown)
            lines.append("    " + " " * (start - 1) + "^" * max(1, min(width, len(shown) - start + 1)))
        explanation = " ".join(part for part in (rule, mend) if part)
        if explanation:
            lines.append("  " + explanation)
        super().__init__("\n".join(lines))


def _window(source: str, column: int, width: int, limit: int = 120) -> tuple[str, int]:
    """Cut a long line to a readable window around the caret; returns text and new column."""
    source = source.replace("\t", " ")
    if len(source) <= limit:
        return source, column
    left = max(0, column - 1 - limit // 3)
    return source[left : left + limit], column - left


class ParameterError(GatefieldError):
    """A parameter is unknown, missing, not finite, or negative where a variance is meant."""


class AnsatzError(GatefieldError):
    """The ansatz asked for does not apply to this cell (for example untied in continuous time)."""


class ClosureError(GatefieldError):
    """A set of equations that was required to close does not; lists what is missing.

    Attributes
    ----------
    missing : texts of the moments that would be needed
    """

    def __init__(self, message: str, missing: tuple[str, ...] = ()) -> None:
        self.missing = missing
        super().__init__(message)


class SizeError(GatefieldError):
    """A symbolic expression grew beyond a stated limit; the numeric path still works."""


class ConvergenceError(GatefieldError):
    """A numeric method stopped short: what was reached, what was asked, causes and remedies."""
