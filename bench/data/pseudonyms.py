"""Stable names in place of those of patients and files, for records that are to be shared."""

import hashlib
from dataclasses import replace

from bench.data.sample import DataSet, Sample


def pseudonymous(data: DataSet) -> DataSet:
    """`data` with other names of samples, groups and volumes, the same for the same names, and without its label."""
    splits = {split: tuple(map(_renamed, samples)) for split, samples in data.splits.items()}
    return replace(data, splits=splits, label="")


def _renamed(sample: Sample) -> Sample:
    name, group, volume = (_pseudonym(kind, getattr(sample, kind)) for kind in ("id", "group", "volume"))
    return replace(sample, id=name, group=group, volume=volume)


def _pseudonym(kind: str, name: str) -> str:
    return f"{kind}-{hashlib.sha256(name.encode()).hexdigest()[:12]}" if name else ""
