"""A generative model of per-image Dice, fitted to the committed scores, to try statements about accuracy on.

One image's score is drawn in two steps: is the target missed (Dice 0), and if not, how well is it outlined. Both hang
on a standard normal number of their own, which is a sum of independent parts:

    number = sqrt(nets) shared + sqrt(seeds - nets) of the network + sqrt(1 - seeds) of the training

where `nets` is the correlation of two networks on the same images and `seeds` that of two trainings of one network.
Each part is again a sum of a part of the patient and a part of the image, with the share `patient` (an intraclass
correlation). So patients are harder or easier, for both networks (shared), for one of them (the interaction of patient
and network) or for one training of it. Where the first number lies under the quantile of the share of misses, the
target is missed. Otherwise the second number, read through the empirical quantiles of the Dice of targets that were
not missed, is the score. A training moves all scores of its network by the same amount on the logit scale, so that
scores stay between 0 and 1; the amount is normal, with the standard deviation that moves the mean by the stated one.

How each parameter is fitted (`fit`), from results/reference:

quantiles    Dice of at least 0.1, the mean over networks and seeds of their quantile functions: of DDTI (7 trainings,
             91 images of 76 cases, mean 0.57), of ISIC 2017 (5 trainings, 150 images, mean 0.71), and of the left
             ventricle in ACDC's volumes (1 training, 40 volumes of 20 patients, mean 0.88): a symmetric, a skewed, and
             a narrow skewed distribution.
nets         mean Pearson correlation of the normal scores (ranks read as normal quantiles) of two different networks.
             ACDC has one network; it takes the mean of the other two.
seeds        the same for two seeds of one network (DDTI: mdsa_unet and unetpp, seeds 0 and 1). All sets take it.
patient      intraclass correlation by analysis of variance: of the normal scores averaged over networks (shared part),
             of the differences of two networks (part of the network), and of the differences of two seeds (part of the
             training), in DDTI, where 12 of 76 cases have more than one image. ISIC 2017 has one image a patient and
             takes DDTI's. For ACDC the shared part is from its two frames a patient.
misses       correlation of the normal numbers behind "Dice under 0.1": the one for which the number of images missed by
             both of two networks is the number expected, summed over the ten pairs in ISIC 2017. There are no misses to
             fit two seeds to: half of what is left is taken. The shares within a patient are those of the scores.

The committed networks were trained for 600 steps. A fourth model, "strong", is not fitted but assumed, for networks
that are trained to the end: ACDC's, with half the spread of logits and a higher median (mean 0.93, standard deviation
0.02). Rare misses weigh most there. A fifth, "alike", is ACDC's with images of a patient that are much alike, as frames
of one video are: two thirds of every part belong to the patient.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.stats import multivariate_normal, norm, rankdata

from bench.run.store import read_record

REFERENCE = Path(__file__).parents[2] / "results/reference"
MISSED = 0.1  # Dice below this counts as a miss where the model is fitted
BINS = 4096  # of the table from standard normal numbers to logits of Dice, over -REACH to REACH
REACH = 4.5
ALIKE = (2 / 3, 2 / 3, 2 / 3)
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(40)
Random = np.random.Generator


@dataclass(frozen=True)
class Agreement:
    """Correlation of two networks and of two trainings on the same images, and the patient's share of each part."""

    nets: float
    seeds: float
    patient: tuple[float, float, float]  # of the shared part, of the network's, of the training's


@dataclass(frozen=True)
class Model:
    """One data set's distribution of Dice without misses, and how networks agree in scores and in misses."""

    name: str
    dice: np.ndarray  # (101,) quantiles from 0 to 1
    scores: Agreement
    misses: Agreement

    @cached_property
    def logits(self) -> np.ndarray:
        """(BINS,): logit of the Dice at the middle of each bin."""
        middle = (np.arange(BINS) + 0.5) / BINS * 2 * REACH - REACH
        found = np.interp(norm.cdf(middle), np.linspace(0, 1, 101), self.dice)
        return np.log(found / (1 - found)).astype(np.float32)

    @cached_property
    def _means(self) -> tuple[np.ndarray, np.ndarray]:
        """Moves in logits (401,) and the mean Dice without misses after each."""
        edges = norm.cdf(np.linspace(-REACH, REACH, BINS + 1))
        edges[0], edges[-1] = 0, 1
        moves = np.linspace(-4, 4, 401)
        return moves, _dice(self.logits[None].astype(float) + moves[:, None]) @ np.diff(edges)

    def mean(self, moved: np.ndarray, share: float) -> np.ndarray:
        """The population's mean of networks (any shape) moved by these logits that miss this share; exact."""
        return (1 - share) * np.interp(moved, *self._means)

    def spread(self, deviation: float) -> float:
        """Standard deviation in logits that moves the mean (without misses) by this much, to first order."""
        return float(deviation * 0.04 / np.diff(self.mean(np.array([-0.02, 0.02]), 0))[0])

    def mean_over_seeds(self, moved: float, deviation: float, share: float) -> float:
        """The mean also over all trainings; by Gauss-Hermite quadrature."""
        found = self.mean(moved + self.spread(deviation) * NODES, share)
        return float(found @ WEIGHTS / WEIGHTS.sum())


@dataclass(frozen=True)
class Draw:
    """Replications of two networks on the same patients, before seeds move them and targets are missed."""

    model: Model
    present: np.ndarray  # (replications, patients, images): whether the patient has this image
    logits: np.ndarray  # (networks, seeds, replications, patients, images)
    misses: np.ndarray  # the same shape: standard normal
    seeds: np.ndarray  # (networks, seeds, replications): standard normal

    @property
    def counts(self) -> np.ndarray:
        return self.present.sum(-1).astype(float)

    def found(self, network: int, moved: np.ndarray) -> np.ndarray:
        """(seeds, replications, patients, images): Dice of targets that are found, with logits moved by (seeds, rep.).

        Images that a patient does not have score 0.
        """
        dice = _dice(self.logits[network] + moved[..., None, None].astype(np.float32))
        dice *= self.present
        return dice

    def missing(self, dice: np.ndarray, network: int, share: float) -> np.ndarray:
        """These Dice with 0 where the network misses the target: in this share of images."""
        return dice * (self.misses[network] > norm.ppf(share)) if share else dice

    def seen(self, dice: np.ndarray) -> np.ndarray:
        """(seeds, replications): whether any image counts as missed, as the program reckons."""
        return ((dice < MISSED) & self.present).any((-1, -2))


def draw(model: Model, patients: int, images: int | str, seeds: int, replications: int, random: Random) -> Draw:
    """Draw two networks' trainings. `images` a patient; "1-5" draws each patient's number, all five alike often."""
    most = 5 if images == "1-5" else int(images)
    number = random.integers(1, 6, (replications, patients)) if images == "1-5" else np.full((1, 1), most)
    present = np.broadcast_to(np.arange(most) < number[..., None], (replications, patients, most))
    shape = (2, seeds, replications, patients, most)
    bins = ((_numbers(random, model.scores, shape) + REACH) * (BINS / (2 * REACH))).clip(0, BINS - 1).astype(np.int32)
    misses = _numbers(random, model.misses, shape)
    return Draw(model, present, model.logits[bins], misses, random.standard_normal((2, seeds, replications)))


def _numbers(random: Random, agreement: Agreement, shape: tuple[int, ...]) -> np.ndarray:
    """Standard normal numbers (networks, seeds, replications, patients, images) that agree as stated."""
    networks, seeds, *rest = shape
    leading = ((1, 1), (networks, 1), (networks, seeds))
    shares = (agreement.nets, agreement.seeds - agreement.nets, 1 - agreement.seeds)
    total = np.zeros(shape, np.float32)
    for lead, share, patient in zip(leading, shares, agreement.patient, strict=True):
        of_patients = random.standard_normal((*lead, *rest[:-1], 1), dtype=np.float32)
        of_images = random.standard_normal((*lead, *rest), dtype=np.float32)
        total += np.sqrt(share * patient, dtype=np.float32) * of_patients
        total += np.sqrt(share * (1 - patient), dtype=np.float32) * of_images
    return total


def _dice(logits: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-logits))


def fit() -> list[Model]:
    """The models of DDTI, ISIC 2017 and ACDC's left ventricle, fitted to the committed scores, and the two assumed."""
    ddti, isic, acdc = _scores("ddti"), _scores("isic2017"), _volumes(3)
    normal = ddti.apply(_normal_scores)
    nets, seeds = _correlations(ddti)
    in_isic, _ = _correlations(isic)
    of_net = np.mean([_icc(normal[a] - normal[b]) for a, b in combinations(normal, 2) if a[0] != b[0]])
    of_seed = np.mean([_icc(normal[a] - normal[b]) for a, b in combinations(normal, 2) if a[0] == b[0]])
    shares = (_icc(normal.mean(axis=1)), float(of_net), max(0.0, float(of_seed)))
    scores = Agreement(nets, seeds, shares)
    together = _tetrachoric(isic < MISSED)
    misses = Agreement(together, (1 + together) / 2, shares)
    frames = (max(0.0, _icc(acdc.apply(_normal_scores).iloc[:, 0])), *shares[1:])
    between = Agreement((nets + in_isic) / 2, seeds, frames)
    ventricle = Model("acdc", _quantiles(acdc), between, replace(misses, patient=frames))
    return [
        Model("ddti", _quantiles(ddti), scores, misses),
        Model("isic2017", _quantiles(isic), replace(scores, nets=in_isic), misses),
        ventricle,
        replace(ventricle, name="strong", dice=_strong(ventricle.dice)),
        replace(ventricle, name="alike", scores=replace(between, patient=ALIKE), misses=replace(misses, patient=ALIKE)),
    ]


def _strong(dice: np.ndarray) -> np.ndarray:
    logits = np.log(dice / (1 - dice))
    return _dice(logits[50] + 0.3 + 0.5 * (logits - logits[50]))


def _tables(dataset: str) -> Iterator[tuple[tuple[str, int], pd.DataFrame]]:
    for record in map(read_record, sorted(REFERENCE.glob("*-dice-*.json"))):
        job = record.job
        if job.spec.dataset == dataset:
            images = pd.DataFrame([image.model_dump() for image in record.result.images])
            yield (job.network, job.spec.train.seed), images


def _scores(dataset: str) -> pd.DataFrame:
    """Dice by (patient, image) in rows and (network, seed) in columns; DDTI's ids are `case_image`."""
    found = pd.DataFrame({key: table.set_index("id")["dice"] for key, table in _tables(dataset)}).dropna()
    return _by_patient(found, [name.split("_")[0] if dataset == "ddti" else name for name in found.index])


def _volumes(label: int) -> pd.DataFrame:
    """Dice of this label by (patient, volume) of ACDC, slices of a volume counted together."""
    columns = {}
    for key, table in _tables("acdc"):
        counts = table[table["label"] == label].groupby("volume")[["tp", "fp", "fn"]].sum()
        columns[key] = 2 * counts["tp"] / (2 * counts["tp"] + counts["fp"] + counts["fn"])
    found = pd.DataFrame(columns)
    return _by_patient(found, [volume.split("_")[0] for volume in found.index])


def _by_patient(found: pd.DataFrame, patients: list[str]) -> pd.DataFrame:
    return found.set_index(pd.MultiIndex.from_arrays([patients, found.index], names=["patient", "image"]))


def _quantiles(scores: pd.DataFrame) -> np.ndarray:
    levels = np.linspace(0, 1, 101)
    return np.mean([np.quantile(column[column >= MISSED], levels) for _, column in scores.items()], axis=0)


def _normal_scores(column: pd.Series) -> np.ndarray:
    return norm.ppf((rankdata(column) - 0.5) / len(column))


def _correlations(scores: pd.DataFrame) -> tuple[float, float]:
    """Mean correlations of normal scores: of different networks, and of seeds of one network (NaN if there is none)."""
    found, pairs = scores.apply(_normal_scores).corr(), list(combinations(scores, 2))
    between = [found.loc[a, b] for a, b in pairs if a[0] != b[0]]
    within = [found.loc[a, b] for a, b in pairs if a[0] == b[0]]
    return float(np.mean(between)), float(np.mean(within)) if within else float("nan")


def _icc(values: pd.Series) -> float:
    """Intraclass correlation of patients by one-way analysis of variance, for unequal numbers of images."""
    groups = values.groupby(level="patient").agg(["mean", "count", "var"])
    number, total, count = groups["count"], len(values), len(groups)
    between = (number * (groups["mean"] - values.mean()) ** 2).sum() / (count - 1)
    within = ((number - 1) * groups["var"].fillna(0)).sum() / (total - count)
    size = (total - (number**2).sum() / total) / (count - 1)
    return float((between - within) / (between + (size - 1) * within))


def _tetrachoric(missed: pd.DataFrame) -> float:
    """The correlation of normal numbers under which two networks miss as many images together as they do."""
    shares, pairs = missed.mean(), list(combinations(missed, 2))
    observed = sum((missed[a] & missed[b]).mean() for a, b in pairs)

    def excess(correlation: float) -> float:
        both = multivariate_normal(cov=[[1, correlation], [correlation, 1]])
        return sum(both.cdf(norm.ppf([shares[a], shares[b]])) for a, b in pairs) - observed

    return float(brentq(excess, 0, 0.999))
