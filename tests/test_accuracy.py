"""Every exact closure of every shipped cell against references at 30 digits, at easy and at hard points.

Two things are asked of each number: a relative error below 1e-10, and that the error stated with it covers the
true one (within a factor of three).
"""

from __future__ import annotations

import mpmath as mp
import numpy as np
import pytest
from references import CASES, Floats, Long, MemoryTable, Mp, inner_moments, pair, reference

from derive import load
from derive.pipeline import derive_theory
from solvers.solve import solve

RTOL = 1e-10
ROUNDING = 4e-15
"""What a double cannot express is not held against the stated error."""

# fmt: off
# Printed by: python tests/references.py
REFERENCES: dict[str, dict[str, str]] = {
    "vanilla easy": {
        "q[W_h]": "1.0106457424841256875",
        "Q[h]": "0.44917588554850030557",
        "spectral_radius": "0.96313235274107685784",
    },
    "vanilla hard": {
        "q[W_h]": "383.73023449100277569",
        "Q[h]": "0.95932558622750693922",
        "spectral_radius": "3.2944737301044814481",
    },
    "vanilla untied easy": {
        "q[W_h]": "0.65304324080197336502",
        "Q[h]": "0.4535022505569259815",
        "chi1": "0.58795909629515325548",
        "C_star[h]": "0.2233455294347092116",
        "chi_star": "0.459935333764176584",
    },
    "vanilla untied hard": {
        "q[W_h]": "213.2405584386159218",
        "Q[h]": "0.94773581528273743022",
        "chi1": "7.8480371131332679847",
        "C_star[h]": "0.07126103567707868609",
        "chi_star": "0.6184682516163601695",
    },
    "rate easy": {
        "q[J]": "2.1214735682031785304",
        "spectral_abscissa": "0.16733600026792938306",
    },
    "rate hard": {
        "q[J]": "383.72483248666661769",
        "spectral_abscissa": "2.2950213225596189122",
    },
    "minimal untied easy": {
        "q[W_u]": "0.98199967347588242182",
        "q_total[u]": "2.2319996734758824218",
        "Q[h]": "0.4364442993226144097",
        "chi1": "0.49156511021888229602",
        "C_star[h]": "0.1790449656930405972",
        "chi_star": "0.3902954668083040426",
    },
    "minimal untied hard": {
        "q[W_u]": "753.76937510513787635",
        "q_total[u]": "758.26937510513787635",
        "Q[h]": "0.47110585944071117272",
        "chi1": "4.2461010326757812261",
        "C_star[h]": "0.0954570689425906437",
        "chi_star": "0.4150939146819145992",
    },
    "gru easy": {
        "q[W_z]": "5.0143612107850921717",
        "q[W_h]": "2.475710501536237014",
        "Q[h]": "0.55715124564278801907",
        "spectral_radius": "1.0729456100819132049",
    },
    "gru driven": {
        "q[W_z]": "0.55331960563452289302",
        "q[W_h]": "1.621029432331912513",
        "Q[h]": "0.55331960563452289302",
        "spectral_radius": "1.0232316571000352675",
    },
    "gru stable": {
        "q[W_z]": "1.179439856518547814",
        "q[W_h]": "0.078480878760961493683",
        "Q[h]": "0.29485996412963695351",
        "spectral_radius": "0.93165296863777857624",
    },
    "gru hard": {
        "q[W_z]": "333.68696314726362791",
        "q[W_h]": "22.34941452932556998",
        "Q[h]": "0.83421740786815906977",
        "spectral_radius": "1.5964146755096241687",
    },
    "gru hard reset": {
        "q[W_z]": "3.7537617521594917186",
        "q[W_h]": "167.17092133968298999",
        "Q[h]": "0.93844043803987292964",
        "spectral_radius": "3.9061781509724786678",
    },
    "gru untied easy": {
        "q[W_z]": "0.15003604031785483884",
        "q[W_h]": "0.16017423700310838488",
        "Q[h]": "0.15003604031785483884",
        "chi1": "0.45120495570680552583",
        "C_star[h]": "0.07845979685454479521",
        "chi_star": "0.3939502233060557172",
    },
    "gru untied hard": {
        "q[W_z]": "302.62096781524221672",
        "q[W_h]": "20.113100070533217537",
        "Q[h]": "0.7565524195381055418",
        "chi1": "5.3412938498311039771",
        "C_star[h]": "0.005609977290080635692",
        "chi_star": "0.3750206596461948842",
    },
    "gru-reset-after easy": {
        "q[W_h]": "7.936173010325427051",
        "Q[h]": "0.4960108131453391907",
        "spectral_radius": "1.088703608194062463",
    },
    "gru-reset-after hard": {
        "q[W_h]": "38.52197169939085524",
        "Q[h]": "0.6019058078029821132",
        "spectral_radius": "1.292149120119451055",
    },
    "gru-reset-after untied easy": {
        "q[W_h]": "1.839901319963963183",
        "Q[h]": "0.1149938324977476989",
        "chi1": "0.8354792306194822709",
    },
    "gru-reset-after untied hard": {
        "q[W_h]": "27.57752564731606351",
        "Q[h]": "0.4308988382393134924",
        "chi1": "4.36222937348058577",
    },
    "gated-rnn easy": {
        "q[J_h]": "0.9236375270239065121",
        "q[J_z]": "0.3798908587874945454",
        "spectral_abscissa": "0.051503130194699055537",
    },
    "gated-rnn hard": {
        "q[J_h]": "4.7780321985701468252",
        "q[J_z]": "0.66186800156744012814",
        "spectral_abscissa": "0.47080749737708478336",
    },
    "lstm easy": {
        "q[W_f]": "1.396652898079845606",
        "Q[h]": "0.1551836553422050735",
        "spectral_radius": "1.132896022811089587",
    },
    "lstm hard": {
        "q[W_f]": "12.54976006939365263",
        "Q[h]": "0.1960900010842758223",
        "spectral_radius": "1.674410226104634747",
    },
}
# fmt: on


def test_every_case_has_reference_values() -> None:
    assert set(REFERENCES) == set(CASES)


SLOW = {"gru-reset-after untied hard", "lstm easy", "lstm hard"}


@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=pytest.mark.slow if case in SLOW else ()) for case in sorted(REFERENCES)]
)
def test_numbers_and_their_errors(case: str) -> None:
    name, ansatz, _, parameters = CASES[case]
    found = solve(derive_theory(load(name), ansatz), parameters).solutions[-1]
    assert found.converged, found.verdict
    for quantity, digits in REFERENCES[case].items():
        exact, value = mp.mpf(digits), found[quantity]
        off = float(abs(mp.mpf(value) - exact))
        size = float(abs(exact))
        assert off <= RTOL * size, f"{quantity}: {value} instead of {digits}, off by {off / size:.1e}"
        stated = found.error(quantity)
        assert off <= 3 * stated + ROUNDING * size, f"{quantity}: off by {off:.1e}, stated error {stated:.1e}"
        assert stated <= 100 * RTOL * size, f"{quantity}: the stated error {stated:.1e} is larger than asked"


@pytest.mark.slow
@pytest.mark.parametrize("case", sorted(REFERENCES))
def test_references_are_reproduced(case: str) -> None:
    for quantity, digits in reference(case).items():
        assert abs(mp.mpf(digits) / mp.mpf(REFERENCES[case][quantity]) - 1) < mp.mpf("3e-14"), quantity


def test_the_evaluators_of_the_references_agree() -> None:
    """80-bit sums against 30 digits, pairs against closed forms, tables against sums."""
    fine = Mp()
    for variance in (0.3, 25.0, 400.0):
        exact = fine.average(lambda x: fine.sig(x) ** 2 * mp.tanh(x) ** 2, mp.mpf(variance), 1)
        rough = Floats.average(lambda x: Floats.sig(x) ** 2 * Floats.tanh(x) ** 2, variance, 1)
        assert abs(mp.mpf(str(rough)) / exact - 1) < mp.mpf("1e-17")
    for q, c in ((1.25, 0.5), (2.0, 1.9375)):
        assert float(pair(np.cos, q, c) / (np.exp(-Long(q)) * np.cosh(Long(c))) - 1) == pytest.approx(0, abs=1e-16)
        bells = pair(lambda x: np.exp(-x * x / 2), q, c)
        assert float(bells * np.sqrt((1 + Long(q)) ** 2 - Long(c) ** 2) - 1) == pytest.approx(0, abs=1e-16)
    slope = fine.average(lambda x: x**2 * (1 - mp.tanh(7 * x) ** 2) ** 2, mp.mpf(1))
    assert abs(mp.mpf(str(inner_moments(7)[2])) / slope - 1) < mp.mpf("1e-16")
    table = MemoryTable(2.5, -1.0, 5.0)
    for kappa in (0.3, 3.75):
        K = mp.exp(mp.mpf(kappa))
        exact = fine.average(lambda u, K=K: mp.tanh(u) ** 2 * (1 - mp.tanh(K * mp.tanh(u)) ** 2) ** 2, mp.mpf(2.5))
        assert abs(mp.mpf(float(table(kappa)[1])) / exact - 1) < mp.mpf("1e-13")
