"""What accuracy_coverage.py found, in Markdown, with a summary on top whose figures are those of the tables."""

from collections.abc import Callable, Sequence
from itertools import product
from textwrap import fill

import numpy as np
import pandas as pd

from bench.stats.interval import unseen

PROGRAM = "the program"
COMMAND = "python tests/benchmarks/accuracy_coverage.py --out results/reference/accuracy_coverage.md"
WORST = 3  # configurations of each table and number of patients that are drawn again
LEFT_OUT = {"share": 0.01, "deviation": 0.005}  # without a line: much like the next
SHORT = 93.5  # percent: of the configurations that are drawn again, those below are listed
CONFIGURATION = ["table", "kind", "seeds", "model", "patients", "images", "deviation", "share"]

Row = dict[str, object]
Lines = list[tuple[str, pd.DataFrame]]  # what a line of a table is about, and its rows


def error(percent: float, replications: int) -> float:
    """The standard error of a simulated share, in points."""
    return float(np.sqrt(percent * (100 - percent) / replications))


def suspects(found: pd.DataFrame) -> pd.DataFrame:
    """For each number of patients, where the program covers least in each table and gives most false alarms."""
    ours = found[found["method"] == PROGRAM]
    ours = ours.assign(about=ours["table"].replace({"figure of weights": "figure", "figure of networks": "figure"}))
    low = [rows.nsmallest(WORST, "coverage") for _, rows in ours.groupby(["about", "patients"])]
    high = [rows.nlargest(1, "wrong") for _, rows in ours[ours["kind"] == "equal"].groupby("patients")]
    return pd.concat([*low, *high]).drop_duplicates(CONFIGURATION)


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
    return [(words.format(value), rows[rows[column] == value]) for value in dict.fromkeys(rows[column])
            if value != LEFT_OUT.get(column)]  # fmt: skip


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
    for pair, (images, deviation) in product(("1:1", "5:1"), ((5, 0), (5, 0.02))):
        name = f"old way {pair}, {images} image{'s' * (images > 1)}, deviation {deviation:g}"
        chosen = (old["seeds"] == pair) & (old["images"] == images) & (old["deviation"] == deviation)
        lines.append((name, old[chosen]))
    return _table(lines, "patients", _alarms)


def _unseen(found: pd.DataFrame) -> str:
    ours = found[(found["method"] == PROGRAM) & found["table"].isin(["weights", "networks"])]
    lines = [(f"{share:.0%} missed", ours[ours["share"] == share]) for share in sorted(set(ours["share"])) if share]
    told = _table(lines, "patients", _whole)
    patients = sorted(set(ours["patients"]))
    words = "| words: misses rarer than | " + " | ".join(f"{100 * unseen(n):.1f} %" for n in patients) + " |"
    wrong = ours[ours["kind"] != "equal"].groupby("patients")["whole_wrong"]
    below = [
        words,
        "| wrong way round on the whole, mean | " + " | ".join(f"{wrong.mean()[n]:.1f}" for n in patients) + " |",
        "| the same, highest | " + " | ".join(f"{wrong.max()[n]:.1f}" for n in patients) + " |",
    ]
    return "\n".join([told, *below])


def _skewed(skew: pd.DataFrame) -> str:
    cells = skew.pivot(index="scores", columns="patients", values="wrong").map("{:.1f}".format)
    return _plain([[name, *row] for name, row in zip(cells.index, cells.to_numpy(), strict=True)],
                  ["patients", *map(str, cells.columns)])  # fmt: skip


def _again(repeated: pd.DataFrame) -> str:
    alike = (repeated["kind"] == "equal") & ((repeated["table"] == "networks") | (repeated["deviation"] == 0))
    short = repeated[(repeated["coverage"] < SHORT) | (alike & (repeated["wrong"] > 5))]
    rows = [
        [f"{row['table']}, {row['kind']}, {row['seeds']}", row["model"], row["patients"], row["images"],
         f"{row['deviation']:g}", f"{row['share']:.0%}", f"{row['first']:.1f}", f"{row['coverage']:.1f}",
         f"{row['wrong']:.1f}" if alike[place] else ""]
        for place, row in short.sort_values("coverage").iterrows()
    ]  # fmt: skip
    heads = ["what", "scores", "patients", "images", "deviation", "missed", "first", "coverage", "false alarms"]
    rest = f"The other {len(repeated) - len(short)} held {SHORT} % or more, with false alarms of at most 5 %."
    return _plain(rows, heads) + f"\n\n{rest}"


def _plain(rows: Sequence[Sequence[object]], heads: Sequence[str]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def _summary(found: pd.DataFrame, repeated: pd.DataFrame, skew: pd.DataFrame) -> str:
    ours = found[found["method"] == PROGRAM]
    of_two = ours["table"].isin(["weights", "networks"])
    single, apart = ours[~of_two], ours[of_two & (ours["kind"] != "equal")]
    student = found[found["method"] == "Student's t"]["coverage"].min()
    equal = repeated["kind"] == "equal"
    low = repeated.groupby(repeated["table"].str.split().str[0])["coverage"].min()
    short = repeated[repeated["coverage"] < 93]
    old = found[(found["method"] == "signed-rank") & (found["images"] == 5)]
    still, moved = old[old["deviation"] == 0], old[old["deviation"] == 0.02]["wrong"].max()
    one, five = (still[still["seeds"] == pair]["wrong"] for pair in ("1:1", "5:1"))
    misled = [apart[apart["patients"] == count]["whole_wrong"].max() for count in (10, 20, 50, 150)]
    points = [
        "**Tried**: 10 to 150 patients; 1, 2, 5, or 1 to 5 images each; 1 to 5 trainings a network, as many or not; "
        "trainings that deviate by 0 to 0.04; 0 to 10 % of targets missed. A second network is equal, better without "
        'misses, or worse where it finds the target but without misses ("trade").',
        f"**One network's figure** holds in {single['coverage'].mean():.1f} % on average (wide for few patients), at "
        f"worst in {low['figure']:.1f} %. Student's t does not, where misses are rare: at worst in {student:.0f} %; "
        "the bootstraps are little better.",
        f"**Differences** hold what is said of them: at worst in {low['networks']:.1f} % for the networks and in "
        f"{low['weights']:.1f} % for these weights; false alarms at worst {repeated[equal]['wrong'].max():.1f} %.",
        f"**Where it falls short**: {len(short)} of {len(repeated)} configurations that were drawn again stay below "
        f"93 %. "
        + " ".join(_shortfall(str(table), rows) for table, rows in short.groupby("table"))
        + " The program does not tell of it: one training of each shows no deviation, three show it badly.",
        f"**The old way** (Wilcoxon over images, 5 a patient) told equal weights apart in {one.min():.0f} to "
        f"{one.max():.0f} % of samples, and five trainings from one in {five.min():.0f} to {five.max():.0f} %; where "
        f"trainings deviate by 0.02, equal networks in up to {moved:.0f} %.",
        f"**What no interval can know**: a sample of 10, 20, 50 or 150 patients without a miss says nothing of misses "
        f"in fewer than {', '.join(f'{100 * unseen(count):.0f}' for count in (10, 20, 50, 150))} % of patients. Over "
        f"all targets the difference then lay in the interval in as few as {apart['whole'].min():.0f} % of samples, "
        f"and the worse network was called better in up to {', '.join(f'{share:.0f}' for share in misled)} %. So the "
        "program says that misses rarer than that would not be seen, and that the statement holds apart from them.",
        "**Least numbers**: 10 patients, and 3 trainings of each for a statement of networks. Below, nothing is said.",
        "**Outside the model**: skewed scores without bounds, five trainings against one, gave "
        f"{skew['wrong'].min():.1f} to {skew['wrong'].max():.1f} % false alarms (distances are such scores). Not "
        "tried: several classes, folds.",
    ]
    made = (
        "Dice of two networks was drawn from a model fitted to the committed scores (DDTI, ISIC 2017, ACDC), and from "
        "two that are assumed: strong networks (mean Dice 0.93), and images of a patient that are much alike."
    )
    title = "# Does a 95 % interval of accuracy hold the truth 95 times in 100?"
    return "\n".join([title, "", _wrapped(made), "", *(_wrapped(f"- {point}") for point in points)])


def _shortfall(table: str, rows: pd.DataFrame) -> str:
    return (
        f"{table.capitalize()}: trainings {_listed(rows['seeds'])}, deviation {_listed(rows['deviation'])}, "
        f"{_listed(rows['model'])} scores, {_listed(rows['patients'])} patients."
    )


def _listed(values: pd.Series) -> str:
    return " and ".join(map(str, sorted(set(values)))) or "none"


def _wrapped(text: str) -> str:
    return fill(text, 120, subsequent_indent="  " if text.startswith("-") else "", break_on_hyphens=False)


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
        _summary(found, repeated, skew), _wrapped(made),
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
