"""A cell's derivation, numbers, figures and comparison with networks, as one HTML page or a folder.

    report(cell, "page.html", {"sigma": 1.5})    # one file that needs no network
    report(cell, "folder", {"sigma": 1.5})       # the same page, and what it is made of as files of their own

``stages`` computes, ``page`` and its sections write.
"""

from solvers.report.stages import NO_FIGURES, Report, report

__all__ = ["NO_FIGURES", "Report", "report"]
