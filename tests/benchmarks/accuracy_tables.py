"""What accuracy_coverage.py found, in Markdown. The summary on top was written by hand and is kept beside it here."""

from collections.abc import Callable, Sequence
from itertools import product

import numpy as np
import pandas as pd

from bench.stats.interval import unseen

PROGRAM = "the program"
COMMAND = "python tests/benchmarks/accuracy_coverage.py --out results/reference/accuracy_coverage.md"
SUMMARY = "# Coverage of 95 % intervals of accuracy"
WORST = 8  # configurations of each kind that are drawn again
CONFIGURATION = ["table", "kind", "seeds", "model", "patients", "images", "deviation", "share"]

Row = dict[str, object]
Lines = list[tuple[str, pd.DataFrame]]  # what a line of a table is about, and its rows


def error(percent: float, replications: int) -> float:
    """The standard error of a simulated share, in points."""
    return float(np.sqrt(percent * (100 - percent) / replications))


def suspects(found: pd.DataFrame) -> pd.DataFrame:
    """The program's configurations with the least coverage, and those with the most false alarms."""
    ours = found[(found["method"] == PROGRAM) & found["table"].isin(["weights", "networks"])]
    single = found[(found["method"] == PROGRAM) & ~found["table"].isin(["weights", "networks"])]
    low = [one.nsmallest(WORST, "coverage") for one in (ours, single.drop(columns="wrong"))]
    high = found[(found["method"] == PROGRAM) & (found["kind"] == "equal")].nlargest(WORST, "wrong")
    return pd.concat([*low, high]).drop_duplicates(CONFIGURATION)


def _held(rows: pd.DataFrame) -> str:
    return f"{rows['coverage'].min():.1f} {rows['coverage'].mean():.1f} {rows['width'].mean():.3f}"


def _alarms(rows: pd.DataFrame) -> str:
    return f"{rows['wrong'].mean():.1f} {rows['wrong'].max():.1f}"


def _whole(rows: pd.DataFrame) -> str:
    return f"{rows['whole'].min():.1f} {rows['whole'].mean():.1f} ({rows['unseen'].mean():.0f})"


def _table(lines: Lines, first: str, cell: Callable[[pd.DataFrame], str] = _held) -> str:
    """A line for each of `lines`, a column for each number of patients."""
    patients = sorted({count for _, rows in lines for count in rows["patients"]})
    text = [f"| {first} | " + " | ".join(map(str, patients)) + " |", "|:--|" + ":--|" * len(patients)]
    for name, rows in lines:
        of = [rows[rows["patients"] == count] for count in patients]
        text.append(f"| {name} | " + " | ".join(cell(one) if len(one) else "" for one in of) + " |")
    return "\n".join(text)


def _by(rows: pd.DataFrame, column: str, words: str) -> Lines:
    """A line for each value in a column."""
    return [(words.format(value), rows[rows[column] == value]) for value in dict.fromkeys(rows[column])]


def _split(rows: pd.DataFrame, *columns: str) -> Lines:
    """Lines of the program by several columns, one after the other."""
    words = {
        "images": "{} images a patient", "share": "{:.0%} missed", "deviation": "trainings deviate by {:g}",
        "seeds": "trainings {}", "kind": "second network {}", "model": "scores as in {}",
    }  # fmt: skip
    return [line for column in columns for line in _by(rows, column, words[column])]


def _figures(found: pd.DataFrame) -> str:
    compared = found[(found["table"] == "figure of weights") & (found["seeds"] == "1") & (found["images"] == 1)]
    compared = compared[compared["deviation"].isin([0, 0.02]) & compared["share"].isin([0, 0.02, 0.1])]
    ours = found[(found["method"] == PROGRAM) & (found["kind"] == "alone")]
    return _table([*_by(compared, "method", "{}, 1 image"), *_split(ours, "seeds", "images", "share")], "patients")


def _differences(found: pd.DataFrame, of: str) -> str:
    rows = found[found["table"] == of]
    ours = rows[rows["method"] == PROGRAM]
    equal = rows[(rows["kind"] == "equal") & rows["method"].isin(["patients alone", "double bootstrap"])]
    columns = ("kind", "seeds", "images", "share", *(("deviation",) if of == "networks" else ()))
    return _table([("all", ours), *_split(ours, *columns), *_by(equal, "method", "{}, equal networks")], "patients")


def _false_alarms(found: pd.DataFrame) -> str:
    equal = found[found["kind"] == "equal"]
    still = equal[(equal["table"] == "weights") & (equal["deviation"] == 0)]
    ours = equal["method"] == PROGRAM
    lines = [(f"the program, these weights {pair}", still[(still["seeds"] == pair) & (still["method"] == PROGRAM)])
             for pair in dict.fromkeys(still["seeds"])]  # fmt: skip
    networks = equal[(equal["table"] == "networks") & ours]
    lines += [(f"the program, the networks {pair}", networks[networks["seeds"] == pair])
              for pair in dict.fromkeys(networks["seeds"])]  # fmt: skip
    alone = equal[(equal["method"] == "patients alone") & (equal["table"] == "networks") & (equal["deviation"] == 0.02)]
    lines += [(f"patients alone, the networks {pair}, deviation 0.02", alone[alone["seeds"] == pair])
              for pair in ("3:3", "5:5")]  # fmt: skip
    old = equal[equal["method"] == "signed-rank"]
    for pair, images, deviation in product(("1:1", "5:1"), (1, 5), (0, 0.02)):
        name = f"old way {pair}, {images} image{'s' * (images > 1)}, deviation {deviation:g}"
        chosen = (old["seeds"] == pair) & (old["images"] == images) & (old["deviation"] == deviation)
        lines.append((name, old[chosen]))
    return _table(lines, "patients", _alarms)


def _unseen(found: pd.DataFrame) -> str:
    ours = found[(found["method"] == PROGRAM) & found["table"].isin(["weights", "networks"])]
    told = _table(_split(ours[ours["share"] > 0], "share"), "patients", _whole)
    patients = sorted(set(ours["patients"]))
    words = "| words: misses rarer than | " + " | ".join(f"{unseen(n):.1%}" for n in patients) + " |"
    wrong = ours[ours["kind"] != "equal"].groupby("patients")["whole_wrong"]
    lines = [
        words,
        "| wrong way round on the whole, mean | " + " | ".join(f"{wrong.mean()[n]:.1f}" for n in patients) + " |",
        "| the same, highest | " + " | ".join(f"{wrong.max()[n]:.1f}" for n in patients) + " |",
    ]
    return "\n".join([told, *lines])


def _skewed(skew: pd.DataFrame) -> str:
    cells = skew.pivot(index="scores", columns="patients", values="wrong").map("{:.1f}".format)
    return _plain([[name, *row] for name, row in zip(cells.index, cells.to_numpy(), strict=True)],
                  ["patients", *map(str, cells.columns)])  # fmt: skip


def _again(repeated: pd.DataFrame) -> str:
    rows = [
        [f"{row['table']}, {row['kind']}, {row['seeds']}", row["model"], row["patients"], row["images"],
         f"{row['deviation']:g}", f"{row['share']:.0%}", f"{row['first']:.1f}", f"{row['coverage']:.1f}",
         "" if row["kind"] == "alone" else f"{row['wrong']:.1f}"]
        for _, row in repeated.sort_values("coverage").iterrows()
    ]  # fmt: skip
    heads = ["what", "scores", "patients", "images", "deviation", "missed", "first", "coverage", "wrong"]
    return _plain(rows, heads)


def _plain(rows: Sequence[Sequence[object]], heads: Sequence[str]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def _made(ours: pd.DataFrame, replications: int, again: int) -> str:
    alarms = ours[(ours["kind"] == "equal") & ~((ours["table"] == "weights") & (ours["deviation"] > 0))]["wrong"]
    low, high = 93 - 2 * error(93, replications), 5 + 2 * error(5, replications)
    below = [f"{(ours['coverage'] < limit).mean():.1%}" for limit in (93, low)]
    return (
        f"Made by `{COMMAND}`: {replications} replications of {len(ours)} configurations of the program's intervals. "
        f"The standard error of a coverage, or of a share of false alarms, is {error(95, replications):.1f} points. "
        f"{below[0]} of the configurations came out below 93 %, {below[1]} by more than two standard errors; "
        f"{(alarms > high).mean():.1%} of those with equal networks had more than 5 % false alarms by more than two "
        f"(2.3 % would, of many that have just 5 %). The worst were drawn again with {again * replications} "
        f"replications (last table; standard error {error(95, again * replications):.1f} points)."
    )


def report(found: pd.DataFrame, repeated: pd.DataFrame, skew: pd.DataFrame, replications: int, again: int) -> str:
    """The whole file."""
    made = _made(found[found["method"] == PROGRAM], replications, again)
    parts = [
        SUMMARY, made,
        "## One network's figure\n\nCells: lowest coverage, mean coverage (%), mean width. One or two trainings: these "
        "weights; three or five: the network.", _figures(found),
        "## Difference of these weights", _differences(found, "weights"),
        "## Difference of the networks", _differences(found, "networks"),
        "## False alarms between equal networks\n\nCells: mean, highest (%). Old way: signed-rank test of images, "
        "averaged over trainings.", _false_alarms(found),
        "## Misses that the sample did not show\n\nCells: lowest and mean coverage of the difference over *all* targets"
        " (%), and in brackets the share of samples without a miss, in which the program speaks of the others alone.",
        _unseen(found),
        "## Skewed scores without bounds, five trainings against one\n\nFalse alarms of these weights (%).",
        _skewed(skew),
        "## The worst configurations, drawn again", _again(repeated),
    ]  # fmt: skip
    return "\n\n".join(parts) + "\n"
