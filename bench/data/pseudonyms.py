"""Stable names in place of those of patients, images, volumes and files, for records that are to be shared."""

import hashlib
import re
from collections import Counter, defaultdict
from dataclasses import replace

from bench.data.sample import DataSet, Sample

# What has a slash or a backslash inside, or ends as files do. In quotes, it may have spaces.
QUOTED = re.compile(r"(['\"])[^'\"\n]*(?:[/\\]|\.\w{2,5}\b)[^'\"\n]*\1")
PATH = re.compile(r"\S*[/\\]\S*|\S+\.(?:png|jpe?g|bmp|tiff?|gif|webp|nii|gz|h5|xml|csv|json|npy|pt|safetensors)\b")


def pseudonymous(data: DataSet) -> DataSet:
    """The same data set, in the same order, with other names: patients P0001, images P0001-1, volumes P0001-v1.

    Patients are numbered in the order of a hash of the data set's digest and their names, so the same data give the
    same names everywhere, and who does not have the list of names cannot tell whose number is whose. Images and
    volumes are numbered in the order of the data set. The digest stays; the user's folder is called folder-<6 digits>.
    """
    samples = [sample for part in data.splits.values() for sample in part]
    patients = {sample.group for sample in samples}
    ordered = sorted(patients, key=lambda name: hashlib.sha256(f"{data.digest}:{name}".encode()).digest())
    names = _Names({group: f"P{number:04d}" for number, group in enumerate(ordered, start=1)})
    splits = {split: tuple(map(names.renamed, part)) for split, part in data.splits.items()}
    image = {old.id: new.id for old, new in zip(samples, (s for part in splits.values() for s in part), strict=True)}
    twins = (frozenset(image[name] for name in pair) for pair in data.known_twins if pair <= set(image))
    label = f"{data.name}-{data.digest[:6]}" if data.label else ""
    note = "the names of patients, images and files are replaced by stable ones"
    return replace(
        data, splits=splits, note=note, known_twins=frozenset(twins), label=label, known_digest=data.digest
    )  # fmt: skip


class _Names:
    """The names that were given so far."""

    def __init__(self, patients: dict[str, str]) -> None:
        self.patients, self.images = patients, Counter[str]()
        self.volumes: dict[str, dict[str, str]] = defaultdict(dict)

    def renamed(self, sample: Sample) -> Sample:
        """The sample under its other names, as the next of its patient's images."""
        patient = self.patients[sample.group]
        self.images[patient] += 1
        return replace(
            sample, id=f"{patient}-{self.images[patient]}", group=patient,
            volume=self._volume(patient, sample.volume) if sample.volume else "",
        )  # fmt: skip

    def _volume(self, patient: str, volume: str) -> str:
        known = self.volumes[patient]
        return known.setdefault(volume, f"{patient}-v{len(known) + 1}")


def without_files(text: str) -> str:
    """A message without the names of files and folders in it, quoted or not; each becomes "(a file)".

    >>> without_files("cannot read 'scans/Anna Smith.png' (10 bytes); see /tmp/logs/unet.log: broken")
    'cannot read (a file) (10 bytes); see (a file) broken'
    """
    return PATH.sub("(a file)", QUOTED.sub("(a file)", text))
