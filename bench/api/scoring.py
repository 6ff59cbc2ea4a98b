"""`bench.score`: predictions made elsewhere become records, as the command of that name makes them."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Unpack

from bench.api.data import DataSource, data_of
from bench.api.recorded import Records
from bench.api.said import errors_in_python, path, paths, whole
from bench.cli.terminal import Status, console
from bench.errors import UserError
from bench.files import temporary_folder, writable
from bench.run.elsewhere import Given, network_name, score_elsewhere
from bench.run.store import WRITTEN

if TYPE_CHECKING:
    import numpy as np

Source = str | Path
Masks = Mapping[str, Any]  # by the name of the image, its mask: an array (height, width)
ARRAYS = "arrays"  # the folder in which masks that are given as arrays lie while they are scored


@errors_in_python
def score(
    predictions: "Source | Mapping[str, Source | Masks | Sequence[Source | Masks]]", dataset: str = "", *,
    truth: Masks | None = None, split: Literal["test", "val", "all"] = "test", size: int = 224,
    unit: Literal["mm", "px"] | None = None, pseudonyms: bool = False, out: Source = "results", quiet: bool = False,
    **data: Unpack[DataSource],
) -> Records:  # fmt: skip
    r"""Score predictions made elsewhere, as `bench score`, and record them in `out` beside those of other networks.

    `predictions` has by the name of each network a folder of masks or a file of scores (summary.json, CSV), or several
    in a list, one for each training; or it is a CSV file that names its networks. The masks are scored against the
    `split` of a data set, which is said as in `DataSource`.

    Masks may also be arrays: by the name of each image (height, width) of class numbers, 0 for the background, or of
    true and false. Then the true masks may be given alike, as `truth`; several `classes` have to be named.

    `size` is in pixels a side for the scores by the protocol; `unit` is that of distances in files that do not say it.
    With `pseudonyms` no patient and no file is named in the records. Returns their records, shown with what was
    matched. Raises UserError, before anything is recorded, with all that does not fit.

        bench.score({"nnunet": ["predsA", "predsB"], "mine": "predsC"}, data_root="truth", patient=r"(P\d+)_")
        bench.score({"mine": {"case1": mask1, "case2": mask2}}, truth={"case1": true1, "case2": true2})
    """
    root, options = data_of(data)
    if truth is not None and (root or dataset):
        raise UserError("both truth and a data set were given; give one of the two")
    if split not in ("test", "val", "all"):
        raise UserError(f"split is test, val or all; got {split!r}")
    out, many = path("out", out), len(options.classes) > 1
    writable(out, WRITTEN)
    with temporary_folder() as folder, Status(console(), quiet, transient=True) as status:
        if truth is not None:
            root = _written(truth, folder / "truth" / ARRAYS, many)
        given = list(_given(predictions, folder / "predictions", many))
        try:
            outcome = score_elsewhere(
                given, dataset, root, options, split, out, status.count, status.show,
                size=whole("size", size, 32), unit=unit or "", pseudonyms=pseudonyms,
            )  # fmt: skip
        except UserError as error:
            error.args = (str(error).replace(f"{folder}/", ""),)  # which is not there anymore when it is read
            raise
    return Records(outcome.records, out, [*outcome.matched, *outcome.remarks])


def _given(predictions: Any, folder: Path, many: bool) -> Iterator[Given]:
    """What each network's predictions are; those in arrays are written into the folder first."""
    if isinstance(predictions, str | Path):
        yield Given("", _existing(predictions))
        return
    if not isinstance(predictions, Mapping) or not predictions:
        raise UserError("predictions are a CSV file, or by the name of each network its folder, file or masks, as in "
                        "{'mine': 'folder'}")  # fmt: skip
    for network, trainings in predictions.items():
        name = network_name(network)
        one = isinstance(trainings, str | Path | Mapping)
        for place, training in enumerate([trainings] if one else trainings):
            masks = isinstance(training, Mapping)
            source = _written(training, folder / name / str(place) / ARRAYS, many) if masks else training
            yield Given(name, _existing(source))


def _existing(source: Any) -> tuple[Path, ...]:
    found = paths("predictions", source)
    for one in found:
        if not one.exists():
            raise UserError(f"no such folder or file: '{one}'; give one of masks or of scores")
    return found


def _written(masks: Masks, folder: Path, many: bool) -> Path:
    """Write masks as pictures into a folder. Raises UserError for what is no mask of class numbers."""
    from PIL import Image

    folder.mkdir(parents=True)
    for name, mask in masks.items():
        if not isinstance(name, str) or Path(name).name != name or not name.strip("."):
            raise UserError(f"{name!r} cannot be an image's name; a file's name without its folder can")
        Image.fromarray(_numbers(name, mask, many)).save(folder / f"{name}.png")
    return folder


def _numbers(name: str, mask: Any, many: bool) -> "np.ndarray":
    """The class numbers of a mask, uint8 (height, width); of one class 255, as such masks mostly are."""
    import numpy as np

    found = np.asarray(mask.cpu() if hasattr(mask, "cpu") else mask)
    found = found[0] if found.ndim == 3 and found.shape[0] == 1 else found
    whole_numbers = found.dtype == bool or np.issubdtype(found.dtype, np.integer)
    if found.ndim != 2 or not found.size or not whole_numbers or found.min() < 0 or found.max() > 255:
        kind = f"the shape {found.shape} and the type {found.dtype}"
        wanted = "a mask is (height, width) of class numbers from 0 to 255, or of true and false"
        raise UserError(f"the mask of {name!r} has {kind}; {wanted}")
    if many:
        return found.astype(np.uint8)
    if len(numbers := np.unique(found[found > 0])) > 1:
        raise UserError(f"the mask of {name!r} has {len(numbers)} classes; name them in order: classes=['a', 'b']")
    return np.where(found > 0, 255, 0).astype(np.uint8)
