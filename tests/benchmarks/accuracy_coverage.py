"""How often the program's 95 % intervals of accuracy hold the truth, and how often equal networks are told apart.

Patients, images, trainings and misses are drawn from the model in accuracy_model.py, whose truth is known. The
program's intervals, and others (accuracy_methods.py), are tried on each replication; accuracy_tables.py tells of it:

    python tests/benchmarks/accuracy_coverage.py --out results/reference/accuracy_coverage.md
    python tests/benchmarks/accuracy_coverage.py --quick

The configurations that come out worst are drawn again, with other random numbers and more replications: the worst of
many simulated coverages is worse than the true one.
"""

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import accuracy_methods as methods
import numpy as np
import pandas as pd
from accuracy_model import Draw, Model, draw, fit
from accuracy_tables import CONFIGURATION, PROGRAM, Row, report, suspects

PATIENTS = (10, 15, 20, 30, 50, 100, 150)
IMAGES = (1, 2, 5, "1-5")
DEVIATIONS = (0, 0.005, 0.01, 0.02, 0.04)
SHARES = (0, 0.01, 0.02, 0.05, 0.1)
APART = {"equal": 0.0, "better": 0.2, "trade": -0.2}  # logits by which the second network is better
PAIRS = {
    "weights": ((1, 1), (5, 1), (2, 5), (5, 5)),
    "networks": ((3, 3), (3, 5), (5, 5)),
}
OF = {"weights": "these trainings", "networks": "the networks"}
FOUND = ["coverage", "width", "wrong", "apart"]
OLD_WAY = {  # where the test of images is tried
    "table": ["weights"], "deviation": [0, 0.02], "share": [0, 0.05], "patients": [20, 50, 150], "images": [1, 5],
}  # fmt: skip
AGAIN = 10  # times as many replications for the worst configurations


def measured(interval: methods.Interval, truth: np.ndarray | float, p: np.ndarray | None = None) -> Row:
    """Coverage and mean width; how often 0 is left out, and how often on the wrong side of the truth; in percent."""
    low, high = interval
    tested = True if p is None else p < 0.05
    above, below = (low > 0) & tested, (high < 0) & tested
    return {
        "coverage": 100 * float(((low <= truth) & (truth <= high)).mean()),
        "width": float((high - low).mean()),
        "wrong": 100 * float(((above & (truth <= 0)) | (below & (truth >= 0))).mean()),
        "apart": 100 * float((above | below).mean()),
    }


@dataclass(frozen=True)
class Side:
    """One network: where its trainings lie (logits), its share of misses, Dice and sums, and whether any is missed."""

    by: float
    moved: np.ndarray
    share: float
    dice: np.ndarray
    sums: np.ndarray
    seen: np.ndarray

    def first(self, count: int) -> "Side":
        """The first trainings alone."""
        return Side(self.by, self.moved[:count], self.share, self.dice[:count], self.sums[:count], self.seen[:count])

    def truth(self, model: Model, of: str, deviation: float, misses: bool = True) -> np.ndarray | float:
        """The figure in the population, (replications,) of these weights; also that of targets that are found."""
        share = self.share if misses else 0
        if of == "networks":
            return model.mean_over_seeds(self.by, deviation, share)
        return model.mean(self.moved, share).mean(0)


def figures(model: Model, side: Side, counts: np.ndarray, named: Row, deviation: float, all_methods: bool) -> list[Row]:
    """One network's figure, of one training to five."""
    rows = []
    for count in (1, 2, 3, 5):
        of, chosen = "networks" if count >= 3 else "weights", side.first(count)
        truth, told = chosen.truth(model, of, deviation), {**named, "table": f"figure of {of}", "seeds": str(count)}
        rows.append({**told, "method": PROGRAM, **measured(methods.program_figure(chosen.sums, counts), truth)})
        for name, method in methods.FIGURE.items() if all_methods and count == 1 else ():
            rows.append({**told, "method": name, **measured(method(chosen.sums[0], counts), truth)})
    return rows


def differences(
    model: Model, sides: tuple[Side, Side], counts: np.ndarray, named: Row, deviation: float, all_methods: bool
) -> Iterator[Row]:
    """The difference of two networks, both ways of stating it, for some numbers of trainings."""
    for of, pairs in PAIRS.items():
        for one, two in pairs if named["kind"] == "equal" else (pairs[0], pairs[-1]):
            ours, theirs = sides[0].first(one), sides[1].first(two)
            told = {**named, "table": of, "seeds": f"{one}:{two}"}
            whole, found = (
                ours.truth(model, of, deviation, misses) - theirs.truth(model, of, deviation, misses)
                for misses in (True, False)
            )
            seen = ours.seen.any(0) | theirs.seen.any(0)
            interval, p = methods.program_difference(ours.sums, theirs.sums, counts, seen, OF[of])
            stated, all_told = measured(interval, np.where(seen, whole, found), p), measured(interval, whole, p)
            extra = {"whole": all_told["coverage"], "whole_wrong": all_told["wrong"], "unseen": 100 * (~seen).mean()}
            yield {**told, "method": PROGRAM, **stated, **extra}
            if named["kind"] == "equal":
                yield from _others(ours, theirs, counts, told, whole, all_methods)


def _others(ours: Side, theirs: Side, counts: np.ndarray, told: Row, whole: np.ndarray, slow: bool) -> Iterator[Row]:
    alone = measured(methods.patients_alone(ours.sums, theirs.sums, counts), whole)
    yield {**told, "method": "patients alone", **alone}
    if slow and told["table"] == "networks":
        drawn = methods.double_bootstrap(ours.sums, theirs.sums, counts)
        yield {**told, "method": "double bootstrap", **measured(drawn, whole)}
    tried = {
        "table": ["weights"],
        "deviation": [0, 0.02],
        "share": [0, 0.05],
        "patients": [20, 50, 150],
        "images": [1, 5],
    }
    if all(told[name] in values for name, values in tried.items()):
        wrong = 100 * float((methods.signed_rank(ours.dice, theirs.dice) < 0.05).mean())
        yield {**told, "method": "signed-rank", "wrong": wrong}


def configuration(
    drawn: Draw, told: Row, deviations: Sequence[float], shares: Sequence[float], kinds: Sequence[str]
) -> Iterator[Row]:
    """Every deviation, share of misses and kind of second network, for the same patients."""
    model, counts = drawn.model, drawn.counts
    for deviation in deviations:
        moved = model.spread(deviation) * drawn.seeds
        ours = drawn.found(0, moved[0])
        theirs = {kind: drawn.found(1, APART[kind] + moved[1]) for kind in kinds}
        for share in shares:
            named = {**told, "deviation": deviation, "share": share}
            slow = told["images"] == 1 and deviation in (0, 0.02) and share in (0, 0.02, 0.1)
            first = _side(drawn, 0, ours, 0.0, moved[0], share)
            yield from figures(model, first, counts, {**named, "kind": "alone"}, deviation, slow)
            for kind, dice in theirs.items():
                by = APART[kind]
                second = _side(drawn, 1, dice, by, by + moved[1], share if kind == "equal" else 0)
                yield from differences(model, (first, second), counts, {**named, "kind": kind}, deviation, slow)


def _side(drawn: Draw, network: int, found: np.ndarray, by: float, moved: np.ndarray, share: float) -> Side:
    dice = drawn.missing(found, network, share)
    return Side(by, moved, share, dice, dice.sum(-1, dtype=float), drawn.seen(dice))


def simulate(models: Sequence[Model], replications: int, quick: bool) -> pd.DataFrame:
    """One row for every configuration and method."""
    rows: list[Row] = []
    for place, model in enumerate(models):
        for patients in (10, 50) if quick else PATIENTS:
            for images in ("1-5",) if quick else (5,) if model.name == "alike" else IMAGES:
                random = np.random.default_rng([place, patients, IMAGES.index(images)])
                drawn = draw(model, patients, images, 5, replications, random)
                told = {"model": model.name, "patients": patients, "images": images}
                rows += configuration(drawn, told, (0, 0.02) if quick else DEVIATIONS, SHARES, tuple(APART))
    return pd.DataFrame(rows)


def again(models: Sequence[Model], found: pd.DataFrame, replications: int) -> pd.DataFrame:
    """The worst configurations, AGAIN times, with other random numbers: their rows with the `first` coverage."""
    rows = []
    for place, worst in enumerate(suspects(found).to_dict("records")):
        model = next(model for model in models if model.name == worst["model"])
        told = {name: worst[name] for name in ("model", "patients", "images")}
        kinds = [kind for kind in APART if kind == worst["kind"]]
        repeated = []
        for turn in range(AGAIN):
            random = np.random.default_rng([99, place, turn])
            drawn = draw(model, worst["patients"], worst["images"], 5, replications, random)
            tried = configuration(drawn, told, [worst["deviation"]], [worst["share"]], kinds)
            keys = (*CONFIGURATION, "method")
            repeated += [row for row in tried if all(row[key] == worst[key] for key in keys)]
        rows.append({**repeated[0], **pd.DataFrame(repeated)[FOUND].mean(), "first": worst["coverage"]})
    return pd.DataFrame(rows)


def skewed(replications: int) -> pd.DataFrame:
    """False alarms of these trainings, five against one, for scores without bounds; each training draws for itself."""
    rows = []
    for name, sigma in (("lognormal", 1.0), ("exponential", None)):
        for patients in PATIENTS:
            random, alarms = np.random.default_rng(patients), []
            for _ in range(replications // 1000):
                shape = (6, 1000, patients)
                scores = random.lognormal(0, sigma, shape) if sigma else random.exponential(1, shape)
                none = np.zeros(1000, bool)
                counts = np.ones((1000, patients))
                _, p = methods.program_difference(scores[:5], scores[5:], counts, none, OF["weights"])
                alarms.append(float((p < 0.05).mean()))
            rows.append({"scores": name, "patients": patients, "wrong": 100 * float(np.mean(alarms))})
    return pd.DataFrame(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replications", type=int)
    parser.add_argument("--quick", action="store_true", help="fewer configurations and replications")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--rows", type=Path, help="a folder for every configuration as CSV")
    given = parser.parse_args()
    replications, models = given.replications or (200 if given.quick else 500), fit()
    found = simulate(models, replications, given.quick)
    repeated, skew = again(models, found, replications), skewed(1000 if given.quick else 20000)
    for name, rows in {"found": found, "again": repeated, "skewed": skew}.items() if given.rows else ():
        rows.to_csv(given.rows / f"{name}.csv", index=False)
    text = report(found, repeated, skew, replications, AGAIN)
    given.out.write_text(text) if given.out else print(text)
    print(f"{time.process_time():.0f} s of processor time")


if __name__ == "__main__":
    main()
