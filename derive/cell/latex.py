"""The ``[latex]`` table: short formulas of known commands, so that no file can run TeX code."""

from __future__ import annotations

import re

from derive.cell.document import Document

MAX_LENGTH = 200

_GREEK = (
    "alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta iota kappa varkappa lambda mu nu xi pi varpi "
    "rho varrho sigma varsigma tau upsilon phi varphi chi psi omega "
    "Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega"
)
_OTHERS = (
    "mathrm mathbf mathsf mathit mathtt mathcal mathfrak mathbb mathscr boldsymbol bm text textrm textbf textit "
    "operatorname hat tilde bar vec dot ddot widehat widetilde overline underline acute grave breve check "
    "prime star ast dagger ddagger circ bullet odot oplus otimes times cdot pm mp to ell hbar imath jmath infty "
    "partial nabla Re Im sqrt frac langle rangle lvert rvert lVert rVert parallel perp "
    "uparrow downarrow leftarrow rightarrow"
)
ALLOWED_COMMANDS = frozenset(f"{_GREEK} {_OTHERS}".split())


def check_latex(document: Document, key: str, value: object) -> None:
    """Refuse an entry that is not one short balanced formula of allowed commands."""
    span = document.value_span("latex", key)
    if not isinstance(value, str) or not value.strip():
        raise document.source.error(
            f"`{key}` has no text", span, "An entry is LaTeX in quotation marks.", f"Write  {key} = '\\sigma'."
        )
    if len(value) > MAX_LENGTH:
        raise document.source.error(
            f"LaTeX of {len(value)} characters", span, f"An entry has at most {MAX_LENGTH} characters.", "Shorten it."
        )
    passage = document.passage(value, "latex", key)
    for match in re.finditer(r"\\([A-Za-z]+)|\\(.?)|([$%#&~^]{2}|[$%#&~\x00-\x1f\x7f])", value, re.DOTALL):
        command, sign, _ = match.groups()
        if command in ALLOWED_COMMANDS or (sign and sign in ",;:! "):
            continue
        what = f"`{match.group()}` in LaTeX" if match.group().isprintable() else "a control character in LaTeX"
        raise passage.error(
            what,
            match.start(),
            match.end(),
            "An entry consists of letters, scripts, brackets and commands for letters, fonts and accents.",
            "Write it without.",
        )
    depth = 0
    for position, character in enumerate(value):
        depth += (character == "{") - (character == "}")
        if depth < 0:
            what = "unbalanced brace in LaTeX"
            raise passage.error(what, position, position + 1, "Braces come in pairs.", "Open it.")
    if depth:
        raise passage.error("unbalanced brace in LaTeX", 0, len(value), "Braces come in pairs.", "Close it.")
