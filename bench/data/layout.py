"""What a folder must hold: the error for one that holds something else, and a guard for names that lead out of it."""

from pathlib import Path

from bench.errors import UserError

# What gives a data set away: a pattern for a name directly inside its folder, and what to call it.
TRACES = (
    ("ISIC-2017_*", "ISIC2017"),
    ("ISIC2018_Task1*", "ISIC2018, another edition with other images"),
    ("[0-9]*.xml", "the original release of DDTI"),
    ("trainval-image", "TN3K"),
    ("patient[0-9]*", "patients of ACDC"),
    ("train*/patient[0-9]*", "ACDC"),
    ("image/*", "a plain folder of images and masks"),
)


def first_three(names: list[str]) -> str:
    """The first three names, then how many more: 'a, b, c and 9 more'."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def wrong_layout(title: str, root: Path, missing: str, layout: str, trace: str) -> UserError:
    """The error for `root` not holding data set `title`.

    `missing` says what was looked for, `layout` shows the folder as published, `trace` is a pattern for a name inside a
    right folder: the folder above `root` or one directly below it is offered where it has such a name.
    """
    names = sorted(entry.name for entry in root.iterdir() if not entry.name.startswith("."))
    lines = [f"{title}: {missing} in {root.resolve()}; found there: {first_three(names) or 'nothing'}"]
    likely = [what for pattern, what in TRACES if title not in what and any(root.glob(pattern))]
    if likely:
        lines.append(f"this looks like {likely[0]}")
    right = [near for near in (root.resolve().parent, *sorted(root.iterdir())) if _has(near, trace)]
    if right:
        lines.append(f"did you mean --data-root {right[0]}?")
    lines.append(f"expected, as published:\n{layout.rstrip()}")
    return UserError("\n".join(lines))


def _has(folder: Path, trace: str) -> bool:
    return folder.is_dir() and any(folder.glob(trace))


def stay_inside(name: str, path: Path, root: Path, source: Path) -> Path:
    """`path`, after making sure that `name`, which `source` names, does not lead out of `root`, nor a link behind it.

    Raises UserError naming the list or split file: one that was tampered with must not make us read other files.
    """
    plain = name not in ("", ".", "..") and not any(sign in name for sign in "/\\\0")
    if not plain or (path.is_symlink() and not path.resolve().is_relative_to(root.resolve())):
        raise UserError(
            f"{source} names '{name}', which leads out of {root}; "
            "expected the plain name of what lies in there, so mend the file or get it again"
        )
    return path
