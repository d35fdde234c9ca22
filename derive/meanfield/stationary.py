"""Stationary mean field (dynamical mean field, theory section 2): fields with covariances that depend on the lag."""

from __future__ import annotations

from derive.errors import AnsatzError
from derive.site import SiteForm


def check_inputs(site: SiteForm) -> None:
    """Refuse what has no stationary theory.

    Raises
    ------
    AnsatzError : an input is drawn anew at every step although time is continuous.
    """
    if site.discrete:
        return
    fresh = [item.name for item in site.cell.inputs.values() if item.time == "iid"]
    if fresh:
        raise AnsatzError(
            f"input {', '.join(fresh)} of {site.cell.name} is drawn anew at every step, but time is continuous and "
            f'has no steps. Write  {fresh[0]} = {{ ..., time = "constant" }}  under [inputs], or a cell in discrete '
            "time."
        )
