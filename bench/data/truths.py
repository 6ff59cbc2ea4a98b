"""True masks without their images, which is enough to score predictions made elsewhere."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from bench.data import DATASETS
from bench.data.files import files_in, first_few, single_files
from bench.data.folder import class_names
from bench.data.images import gray_rgb
from bench.data.levels import Reader, mask_reader, whole
from bench.data.names import ENDINGS, IMAGES, SIDES
from bench.data.patients import patients_by_file
from bench.data.predicted import NIFTI, PICTURES
from bench.data.sample import DataSet, Options, Sample
from bench.data.trees import is_mixed
from bench.data.volumes import label_slice, shape_and_spacing
from bench.errors import UserError

NAME = "folder"  # of the data set: the user's own


def holds_truths_alone(root: Path) -> bool:
    """Whether a folder holds masks, and neither images beside them, nor folders of images or of a split."""
    folders = {path.name.lower() for path in root.iterdir() if path.is_dir()}
    masks = files_in(root, (*PICTURES, *NIFTI))
    if is_mixed(root, (*PICTURES, *NIFTI)):
        return False
    return bool(masks) and not folders & {*IMAGES, *(name for names in SIDES.values() for name in names)}


def open_truths(root: Path, options: Options) -> DataSet:
    """The masks of a folder as a data set that has no image and no split but `test`.

    Pictures are scored one by one, NIfTI files as volumes. Raises UserError where both are there, for two masks of one
    name, for masks whose levels are unclear, and for an option of a data set that has a split.
    """
    if options.split_file:
        raise UserError(f"{root} holds masks alone, which are all scored; leave --split-file out")
    classes, problems = class_names(options), list[str]()
    pictures, volumes = (single_files(files_in(root, kinds), problems) for kinds in (PICTURES, NIFTI))
    if pictures and volumes:
        raise UserError(
            f"{root} holds pictures ({first_few([*pictures])}) and NIfTI files ({first_few([*volumes])}); give one kind"
        )
    samples: dict[str, Sample] = {}
    pairs = [(path, (path,)) for path in pictures.values()]
    read_mask = mask_reader(pairs, classes, options, problems, []) if whole(pairs, problems) else None
    if problems:
        raise UserError("\n".join(problems))
    for stem, path in (pictures or volumes).items():
        name = _without_ending(stem)
        found = [_picture(name, path, read_mask)] if read_mask else _slices(name, path, classes)
        if clash := [sample.id for sample in found if sample.id in samples]:
            problems.append(f"{root}: two masks are of '{clash[0]}'; keep one")
        samples |= {sample.id: sample for sample in found}
    if problems:
        raise UserError("\n".join(problems))
    every = tuple(samples.values())
    if options.patient:  # by name alone: equal files need not be of one patient, for empty masks are equal
        patients = patients_by_file(options.patient, every, root)[0]
        every = tuple(replace(sample, group=patients[sample.files[0]]) for sample in every)
    tolerance = DATASETS[NAME].tolerance if options.tolerance is None else options.tolerance
    return DataSet(
        NAME, classes, {"test": every}, "per_volume" if volumes else "per_image", note="masks alone",
        recipe=f"masks alone, classes {', '.join(classes)}", patients=bool(options.patient), tolerance=tolerance,
        label=root.resolve().name,
    )  # fmt: skip


def _without_ending(stem: str) -> str:
    """The name of a mask's image: `a` of `a_gt`."""
    cut = (stem[: -len(ending)] for ending in ENDINGS if ending and stem.lower().endswith(ending))
    return next(filter(None, cut), stem)


def _picture(name: str, path: Path, read_mask: Reader) -> Sample:
    mask = partial(read_mask, path, (path,))
    return Sample(name, name, partial(_black, mask), mask, (path,))


def _slices(name: str, path: Path, classes: tuple[str, ...]) -> list[Sample]:
    shape, spacing = shape_and_spacing(path, "label")
    if len(shape) != 3:
        raise UserError(f"{path} has {len(shape)} axes; true masks in NIfTI are volumes of 3, so write pictures as PNG")
    masks = [partial(label_slice, path, classes, at) for at in range(shape[0])]
    return [
        Sample(f"{name}_slice_{at:03d}", name, partial(_black, mask), mask, (path,), name, spacing)
        for at, mask in enumerate(masks, start=1)
    ]


def _black(mask: Callable[[], np.ndarray]) -> np.ndarray:
    """A black image of the size of a mask: outlines can be drawn on it."""
    return gray_rgb(np.zeros_like(mask()))
