"""The zoo, the styles and drawn right cases, one seed after the other, for as long as there is time.

    PYTHONPATH=tests python tests/testing/campaign.py --seeds 0 200 --cases 100

prints a line for each finding, and one with the sums after each seed; 200 seeds with 100 cases each are what
`pytest -m campaign tests/testing` runs. It can be stopped at any time.
"""

import argparse
import re
import time
import warnings

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import seed as hypothesis_seed
from testing.test_correct_layers import CASES

from minicnn.testing import LayerCheckError, LayerCheckRemark, check_layer
from minicnn.testing.styles import STYLES
from minicnn.testing.zoo import ZOO

SETTINGS = settings(database=None, deadline=None, suppress_health_check=list(HealthCheck))


def zoo_findings(seed: int) -> tuple[list[str], int]:
    """Return the bugs of the zoo that are missed, or found by another check; and how many causes fit."""
    findings, causes = [], 0
    for name, specimen in ZOO.items():
        reference = specimen.reference and specimen.reference()
        try:
            check_layer(specimen.make(), specimen.input_shape, rng=seed, reference=reference)
            findings.append(f"missed: {name}, seed {seed}")
        except LayerCheckError as error:
            first = error.failures[0]
            causes += bool(re.search(specimen.cause, first.hint))
            if first.check != specimen.check:
                findings.append(f"found by {first.check}, not {specimen.check}: {name}, seed {seed}")
    return findings, causes


def style_findings(seed: int) -> list[str]:
    """Return the right layers of the styles that are refused."""
    findings = []
    for name, style in STYLES.items():
        try:
            check_layer(style.make(), style.input_shape, rng=seed, inputs=style.inputs)
        except LayerCheckError as error:
            findings.append(f"refused: {name}, seed {seed}\n{error}")
    return findings


def case_findings(seed: int, count: int) -> list[str]:
    """Return the smallest drawn right case that is refused, if there is one."""

    @hypothesis_seed(seed)
    @settings(SETTINGS, max_examples=count)
    @given(case=CASES)
    def check(case):
        case.check()

    try:
        check()
    except Exception as error:
        return [f"refused: a drawn case, hypothesis seed {seed}\n{error}"]
    return []


def main() -> None:
    """Run the seeds in order."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", nargs=2, type=int, default=(0, 200), metavar=("FIRST", "END"))
    parser.add_argument("--cases", type=int, default=100, help="drawn cases for each seed")
    args = parser.parse_args()
    warnings.simplefilter("ignore", LayerCheckRemark)
    sums = dict.fromkeys(("findings", "causes", "cases"), 0)
    start = time.process_time()
    for done, seed in enumerate(range(*args.seeds), start=1):
        findings, causes = zoo_findings(seed)
        findings += style_findings(seed)
        findings += case_findings(seed, args.cases) if args.cases else []
        for finding in findings:
            print(finding, flush=True)
        sums = {
            "findings": sums["findings"] + len(findings),
            "causes": sums["causes"] + causes,
            "cases": sums["cases"] + args.cases,
        }
        fit = sums["causes"] / (done * len(ZOO))
        print(
            f"seeds {args.seeds[0]} to {seed}: {len(ZOO)} bugs, {len(STYLES)} right layers each, "
            f"{sums['cases']} drawn cases: {sums['findings']} findings; {fit:.1%} of the causes fit; "
            f"{time.process_time() - start:.0f} s of CPU time, numpy {np.__version__}",
            flush=True,
        )


if __name__ == "__main__":
    main()
