"""The derivation as stages: cell -> site form -> mean field -> spectrum."""

from __future__ import annotations

from dataclasses import replace

from derive.cell.spec import Cell
from derive.errors import AnsatzError
from derive.meanfield.static import static_theory
from derive.meanfield.stationary import stationary_theory
from derive.meanfield.untied import untied_theory
from derive.site import SiteForm, site_form
from derive.stability.spectrum import spectral_theory
from derive.theory import Theory
from derive.write.notebook import show_in_notebooks

ANSAETZE = ("static", "untied", "stationary")


def derive_theory(cell: Cell, ansatz: str = "static") -> Theory:
    """Derive the mean field of a cell and, for static solutions, its Jacobian's spectrum.

    Raises
    ------
    AnsatzError : an unknown ansatz, or one that does not apply to this cell.
    SizeError : an average expands beyond the stated limit.
    """
    site = site_form(cell)
    if ansatz == "static":
        return _static(site)
    if ansatz == "untied":
        return untied_theory(site)
    if ansatz == "stationary":
        return stationary_theory(site)
    raise AnsatzError(f"unknown ansatz `{ansatz}`; known are {', '.join(ANSAETZE)}")


def _static(site: SiteForm) -> Theory:
    theory = static_theory(site)
    spectrum, steps = spectral_theory(theory)
    return replace(theory, spectrum=spectrum, steps=theory.steps + steps)


show_in_notebooks()
