"""What a reader of a user's folder finds in it: samples by side of the split, or without one."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bench.data.sample import Options, Sample
from bench.errors import UserError

if TYPE_CHECKING:
    from bench.quantities import ProtocolName


@dataclass
class Found:
    """The samples of a folder.

    `what` says what the folder was taken for, "" for the usual two folders. `sides` has the samples by side of the
    split, "" for those that a split is to be drawn of. `unit` is what a group is, `who` the note on it; `patients` says
    that groups are patients.
    """

    what: str
    sides: dict[str, tuple[Sample, ...]]
    classes: tuple[str, ...]
    unit: str = "image"
    who: str = "patients are not known, so each image counts as a patient"
    patients: bool = False
    protocol: "ProtocolName" = "per_image"
    notes: list[str] = field(default_factory=list)


def refuse(options: Options, what: str, *names: str) -> None:
    """Raise UserError where an option is given that has no meaning for `what` the folder holds."""
    for name in names:
        if getattr(options, name):
            raise UserError(f"--{name} is for folders of images and masks, and this is {what}; leave it out")
