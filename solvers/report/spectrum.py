"""The spectrum on a page: theory's boundary over the eigenvalues of a network."""

from __future__ import annotations

from solvers.report.figures import SINGULAR, SPECTRUM
from solvers.report.findings import Findings
from solvers.report.markup import notes, paragraph
from solvers.report.part import Part, figures

WHERE = "Radius, abscissa, outliers and atoms stand with their errors among the numbers of each solution."


def spectrum_part(found: Findings) -> Part:
    """The figure, and the numbers in it; singular values where weights are redrawn."""
    blocks = figures(found.of(SPECTRUM, SINGULAR))
    if not blocks:
        blocks = [paragraph(found.missing.get("spectrum", "There is no figure; the notes at the top say why."))]
    if found.spectrum is None:
        return Part("spectrum", "Singular values of the Jacobian", tuple(blocks))
    records = found.spectrum["solutions"]
    own = [f"solution {number}: {note}" for number, record in enumerate(records) for note in record.get("notes", ())]
    blocks += [paragraph(WHERE), notes([*found.spectrum.get("notes", ()), *own])]
    return Part("spectrum", "Spectrum of the Jacobian", tuple(blocks))
