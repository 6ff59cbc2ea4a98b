"""How often 95 % intervals of accuracy hold the truth, and how often equal networks are called different.

Patients, images, trainings and misses are drawn from the model in accuracy_model.py, whose truth is known. Each method
of accuracy_methods.py gives its interval for each replication:

    python tests/benchmarks/accuracy_coverage.py --out results/reference/accuracy_coverage.md
    python tests/benchmarks/accuracy_coverage.py --quick

A cell reads: lowest coverage over all configurations in percent, mean coverage, mean width; where networks differ, in
brackets: how often they are called different (mean) and called so the wrong way around (highest). Where networks are
equal and one training as good as another (deviation 0), false alarms are 100 less the coverage. The lowest of many
simulated coverages lies under the lowest true one: with 1000 replications of 100 configurations by about 1.7 points.
"""

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import accuracy_methods as methods
import numpy as np
import pandas as pd
from accuracy_model import Draw, Model, draw, fit

PATIENTS = (10, 15, 20, 30, 50, 100, 150)
IMAGES = (1, 5, "1-5")
DEVIATIONS = (0, 0.005, 0.01, 0.02, 0.04)
SHARES = (0, 0.02, 0.05, 0.1)
PAIRS = ((1, 1), (5, 1), (3, 3), (3, 5), (5, 5))
BETTER = 0.2  # logits by which the second network is better, or worse, where networks are not equal
EXTRA = "t, extra 0 below and 1 above"
FAST = ("t", "t, Hall", "t, extra half below", "t, extra 0 below", EXTRA, "Gaffke")
RARE = (0.005, 0.01, 0.03)  # more shares, for a single figure and the share of misses itself

Row = dict[str, object]


def measured(interval: methods.Interval, truth: np.ndarray | float) -> Row:
    """Coverage and mean width; how often zero is left out, and how often on the wrong side of the truth; in percent."""
    low, high = interval
    return {
        "coverage": 100 * float(((low <= truth) & (truth <= high)).mean()),
        "width": float((high - low).mean()),
        "wrong": 100 * float((((low > 0) & (truth <= 0)) | ((high < 0) & (truth >= 0))).mean()),
        "apart": 100 * float(((low > 0) | (high < 0)).mean()),
    }


def singles(model: Model, drawn: Draw, configuration: Row) -> Iterator[Row]:
    """One training's figure, and the share of images missed, over patients alone."""
    still = np.zeros(drawn.seeds[0, :1].shape)
    counts = drawn.counts
    for share in (*SHARES, *RARE):
        scores, truth = drawn.sums(0, still, share)[0], float(model.mean(np.array(0.0), share))
        named = {**configuration, "share": share}
        tried = methods.SINGLE if configuration["images"] == 1 and share in SHARES else FAST
        for name in tried:
            found = methods.SINGLE[name](scores, counts)
            yield {**named, "table": "figure", "method": name, **measured(found, truth)}
        missed = drawn.missed(0, share)[0].sum(-1).astype(float)
        for name in ("t", EXTRA, "Gaffke") if share else ():
            yield {**named, "table": "misses", "method": name, **measured(methods.SINGLE[name](missed, counts), share)}


def differences(model: Model, drawn: Draw, configuration: Row, deviation: float, slow: bool) -> Iterator[Row]:
    """Differences of two networks, and figures over patients and seeds.

    Equal networks; a second network that is better and misses nothing; and one that is worse where it finds the target,
    but misses nothing ("trade").
    """
    moved = model.spread(deviation) * drawn.seeds
    counts, apart = drawn.counts, {"equal": 0.0, "better": BETTER, "trade": -BETTER}
    never = {kind: drawn.sums(1, by + moved[1], 0) for kind, by in apart.items() if kind != "equal"}
    for share in SHARES:
        ours = drawn.sums(0, moved[0], share)
        over = model.mean_over_seeds(0, deviation, share)
        named = {**configuration, "deviation": deviation, "share": share}
        for seeds in (3, 5):
            yield from _network(ours[:seeds], over, counts, {**named, "seeds": seeds})
        for kind, by in apart.items():
            theirs_share = share if kind == "equal" else 0
            theirs = drawn.sums(1, moved[1], share) if kind == "equal" else never[kind]
            missed = drawn.missed(0, share), drawn.missed(1, theirs_share)
            both = [[moved[0], share], [by + moved[1], theirs_share]]
            for one, two in PAIRS if kind == "equal" else ((1, 1), (3, 3), (5, 5)):
                weights, seen = (
                    model.mean(both[0][0], a)[:one].mean(0) - model.mean(both[1][0], b)[:two].mean(0)
                    for a, b in ((share, theirs_share), (0, 0))
                )
                networks, seen_networks = (
                    model.mean_over_seeds(0, deviation, a) - model.mean_over_seeds(by, deviation, b)
                    for a, b in ((share, theirs_share), (0, 0))
                )
                pair = Pair(ours[:one], theirs[:two], counts, missed[0][:one], missed[1][:two])
                names = {**named, "kind": kind, "seeds": f"{one}:{two}"}
                if (one, two) != (3, 5):
                    yield from _weights(pair, weights, seen, names, slow)
                if min(one, two) >= 3:
                    yield from _networks(pair, networks, seen_networks, names, slow)


@dataclass(frozen=True)
class Pair:
    """Two networks' sums (seeds, replications, patients), and which images (.., images) each training missed."""

    ours: np.ndarray
    theirs: np.ndarray
    counts: np.ndarray
    our_misses: np.ndarray
    their_misses: np.ndarray

    def missed(self) -> dict[str, np.ndarray]:
        """(replications,): whether any image is missed; whether one is that some training of the other side finds."""
        any_of_us, any_of_them = self.our_misses.any(0), self.their_misses.any(0)
        all_of_us, all_of_them = self.our_misses.all(0), self.their_misses.all(0)
        one_sided = (any_of_us & ~all_of_them) | (any_of_them & ~all_of_us)
        return {"if any miss": (any_of_us | any_of_them).any((-1, -2)), "if a one-sided miss": one_sided.any((-1, -2))}

    def extended(self, plain: methods.Interval, truth, seen, over_seeds: bool) -> Iterator[Row]:
        """The extra patient always, and only where a miss is seen; where none is, the truth is that without misses."""
        wide = methods.difference_extra(self.ours, self.theirs, self.counts, over_seeds)
        yield {"method": "extra patient", **measured(wide, truth)}
        for name, there in self.missed().items():
            chosen = tuple(np.where(there, wider, end) for wider, end in zip(wide, plain, strict=True))
            yield {"method": f"extra patient {name}", **measured(chosen, np.where(there, truth, seen))}


def _weights(pair: Pair, truth: np.ndarray, seen: np.ndarray, named: Row, slow: bool) -> Iterator[Row]:
    named = {**named, "table": "weights"}
    total, counts = pair.ours.mean(0) - pair.theirs.mean(0), pair.counts
    for name in ("t", "t, Hall", *(("percentile", "BCa", "bootstrap-t") if slow else ())):
        yield {**named, "method": name, **measured(methods.SINGLE[name](total, counts), truth)}
    for row in pair.extended(methods.student(total, counts), truth, seen, over_seeds=False):
        yield {**named, **row}
    if slow and named["kind"] == "equal" and named["deviation"] == 0:
        held = 100 * float((methods.sign_flip(total, counts) > 0.05).mean())
        yield {**named, "method": "sign flips", "coverage": held, "width": np.nan, "wrong": np.nan, "apart": 100 - held}


def _networks(pair: Pair, truth: float, seen: float, named: Row, slow: bool) -> Iterator[Row]:
    named = {**named, "table": "networks"}
    figure, parts = methods.components([pair.ours, pair.theirs], pair.counts)
    for name, half in methods.NETWORKS.items():
        found = half(parts)
        yield {**named, "method": name, **measured((figure - found, figure + found), truth)}
    found = methods.satterthwaite(parts)
    for row in pair.extended((figure - found, figure + found), truth, seen, over_seeds=True):
        yield {**named, **row}
    if slow:
        drawn = methods.double_bootstrap([pair.ours, pair.theirs], pair.counts)
        yield {**named, "method": "double bootstrap", **measured(drawn, truth)}


def _network(side: np.ndarray, over: float, counts: np.ndarray, named: Row) -> Iterator[Row]:
    for name, half in (("Satterthwaite", methods.satterthwaite), ("Cochran", methods.cochran)):
        for extra in (False, True):
            found = methods.single_network(side, counts, half, extra)
            method = f"{name}, extra 0 below and 1 above" if extra else name
            yield {**named, "table": "network", "method": method, **measured(found, over)}


def simulate(replications: int, quick: bool) -> pd.DataFrame:
    """All configurations: one row each for every method."""
    rows: list[Row] = []
    for place, model in enumerate(fit()):
        for patients in (10, 50) if quick else PATIENTS:
            for images in ("1-5",) if quick else IMAGES:
                random = np.random.default_rng([place, patients, IMAGES.index(images)])
                drawn = draw(model, patients, images, 5, replications, random)
                named = {"model": model.name, "patients": patients, "images": images}
                rows += singles(model, drawn, named)
                for deviation in (0, 0.02) if quick or images == 5 else DEVIATIONS:
                    slow = images == 1 and patients in (10, 20, 50) and deviation in (0, 0.02) and not quick
                    rows += differences(model, drawn, named, deviation, slow)
    return pd.DataFrame(rows)


def table(found: pd.DataFrame, index: list[str]) -> str:
    """Markdown: `index` in rows, patients in columns; lowest and mean coverage and mean width in cells."""
    grouped = found.groupby([*index, "patients"], sort=False)
    cells = pd.DataFrame({"low": grouped["coverage"].min(), "mean": grouped["coverage"].mean()})
    cells["width"], cells["apart"] = grouped["width"].mean(), grouped["apart"].mean()
    cells["wrong"] = grouped["wrong"].max()
    different = "kind" in found and found["kind"].notna().any() and not (found["kind"] == "equal").any()
    text = [
        f"{low:.1f} {mean:.1f} {width:.3f}" + (f" ({apart:.0f}, {wrong:.1f})" if different else "")
        for low, mean, width, apart, wrong in cells.itertuples(index=False)
    ]
    return pd.Series(text, cells.index).unstack("patients").fillna("").reset_index().to_markdown(index=False)


ADAPTIVE = "method == 'extra patient if any miss'"
BOUNDED = f"method == '{EXTRA}'"
USUAL = "share not in [0.005, 0.01, 0.03]"
PLAIN = "kind == 'equal' and method == 'Satterthwaite'"
SECTIONS = (
    ("One network's figure, over patients", "figure", USUAL, ["method"]),
    ("The same, without the strong model", "figure", f"model != 'strong' and {USUAL}", ["method"]),
    ("The same, Student's t by share of misses", "figure", "method == 't'", ["model", "share"]),
    ("The same, one more patient", "figure", BOUNDED, ["model", "share"]),
    ("Share of images missed", "misses", "", ["method", "share"]),
    ("One network's figure, over patients and seeds", "network", "", ["method", "seeds"]),
    ("Difference of these weights, equal networks", "weights", "kind == 'equal'", ["method", "seeds"]),
    ("Difference of these weights, better network", "weights", "kind == 'better'", ["method", "seeds"]),
    ("Difference of these weights, trade", "weights", "kind == 'trade'", ["method", "seeds"]),
    ("Difference of networks, equal", "networks", "kind == 'equal'", ["method", "seeds"]),
    ("Difference of networks, better", "networks", "kind == 'better'", ["method", "seeds"]),
    ("Difference of networks, trade", "networks", "kind == 'trade'", ["method", "seeds"]),
    ("Networks, equal: extra patient if any miss", "networks", f"kind == 'equal' and {ADAPTIVE}", ["deviation"]),
    ("Networks, trade: extra patient if any miss", "networks", f"kind == 'trade' and {ADAPTIVE}", ["model", "share"]),
    ("Networks, equal: Satterthwaite", "networks", PLAIN, ["seeds", "deviation"]),
    ("Weights, equal: extra patient if any miss", "weights", f"kind == 'equal' and {ADAPTIVE}", ["model", "share"]),
    ("Weights, trade: extra patient if any miss", "weights", f"kind == 'trade' and {ADAPTIVE}", ["model", "share"]),
)


def report(found: pd.DataFrame, heading: str) -> str:
    parts = [f"# Coverage of 95 % intervals of accuracy\n\n{heading}"]
    for title, name, condition, index in SECTIONS:
        chosen = found[found["table"] == name]
        parts.append(f"## {title}\n\n" + table(chosen.query(condition) if condition else chosen, index))
    return "\n\n".join(parts) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replications", type=int)
    parser.add_argument("--quick", action="store_true", help="fewer configurations and replications")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--rows", type=Path, help="every configuration as CSV")
    given = parser.parse_args()
    replications, began = given.replications or (200 if given.quick else 1000), time.monotonic()
    found = simulate(replications, given.quick)
    if given.rows:
        found.to_csv(given.rows, index=False)
    heading = f"{replications} replications each, {len(found)} rows. Cells: lowest coverage, mean coverage, mean width."
    text = report(found, heading)
    given.out.write_text(text) if given.out else print(text)
    print(f"{time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
