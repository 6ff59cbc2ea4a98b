"""Every reader of the program with valid inputs: a line each. A reader gets the path of a file that holds rubbish."""

import csv
import gzip
import io
import json
import os
import pickle
import random
import zipfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from . import rubbish

ROOT = Path(__file__).resolve().parents[2]
Read = Callable[[Path], object]


@dataclass(frozen=True)
class Reader:
    """What reads a file, its valid contents by the name that the file has, how rubbish is made of them, its share."""

    read: Read
    valid: Mapping[str, bytes]
    changes: Sequence[rubbish.Change]
    weight: int = 4
    after: Callable[[bytes], bytes] = lambda content: content


def readers(results: Path, scratch: Path, canary: Path) -> dict[str, Reader]:
    """All readers. `results` are those of an unbroken run; a pickle that runs makes the folder `canary`."""
    return {
        **_of_records(results), **_of_data(scratch), **_of_scores(), **_of_weights(results, scratch, canary),
        **_of_options(), **_of_the_rest(results),
    }  # fmt: skip


# ---- what the program writes itself ----------------------------------------------------------------------------------


def _of_records(results: Path) -> dict[str, Reader]:
    from bench.read.load import load
    from bench.run.predictions import Predictions
    from bench.run.store import read_record

    paths = [*results.glob("*.json"), *sorted((ROOT / "results/reference").glob("unet-*-*.json"), key=_size)[:6]]
    first = ROOT / "tests/run/first_format"
    valid = {path.name: path.read_bytes() for path in paths if _size(path) < 60_000}
    beside = {path.name: path.read_bytes() for path in first.glob("*.json")}
    scores = {path.name: path.read_bytes() for path in first.glob("*.csv")}

    def read_first(path: Path) -> object:
        for name, content in {**beside, **scores}.items():
            if name != path.name:
                path.with_name(name).write_bytes(content)
        return [read_record(path.with_name(name)) for name in beside if name.startswith(path.name.split(".")[0])]

    kept = {path.name: path.read_bytes() for path in results.glob("*.npz")}
    return {
        "a record": Reader(read_record, valid, rubbish.JSON, 6),
        "a record, signed anew": Reader(read_record, valid, [rubbish.other_value], 8, _signed),
        "a folder of records": Reader(lambda path: load([path.parent]), valid, rubbish.JSON, 2),
        "a record of the first format": Reader(read_first, {**beside, **scores}, rubbish.TEXT, 2),
        "predictions": Reader(Predictions.load, kept, rubbish.BYTES),
    }


def _signed(content: bytes) -> bytes:
    """The record with the digest of what it says now, so that more than the digest is looked at."""
    try:
        facts = json.loads(content)
        facts.pop("digest", "")
        digest = sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:12]
        return json.dumps({**facts, "digest": digest}).encode()
    except (ValueError, AttributeError, TypeError, RecursionError):
        return content


def _of_the_rest(results: Path) -> dict[str, Reader]:
    from bench.data.sample import read_split_file
    from bench.judge.claims_file import read_claims
    from bench.locks import holder, take
    from bench.report.manifest import Manifest

    manifest = {"files": {"report.md": "0" * 16}, "before": {"report.md": ["1" * 16]}, "records": ["unet-cost-0"]}
    lock = {"host": "here", "process": 1, "since": "2026-01-01T00:00:00+00:00", "work": "counting", "token": "a" * 16}
    splits = {path.name: path.read_bytes() for path in results.glob("splits/*.json")}
    claims = (ROOT / "bench/judge/claims.toml").read_bytes()

    def manifest_of(path: Path) -> object:
        return Manifest.of(path.parent, lambda name: True)

    def lock_of(path: Path) -> object:
        holder(path)
        if lock := take(path):
            lock.release()
        return lock

    return {
        "claims": Reader(read_claims, {"claims.toml": claims[:2000]}, rubbish.TEXT),
        "a split file": Reader(read_split_file, splits, rubbish.JSON),
        "the manifest of a report": Reader(manifest_of, {".bench-report.json": _json(manifest)}, rubbish.JSON),
        "a lock": Reader(lock_of, {"work.lock": _json(lock)}, rubbish.JSON, 1),
        "events of a worker": Reader(_events(), {"events": EVENTS}, rubbish.JSON),
    }  # fmt: skip


EVENTS = b"""{"doing": "reading", "done": 1, "of": 3}
{"step": 1, "steps": 4, "loss": 0.5, "val_dice": null}
{"end": "ok"}
"""


def _events() -> Read:
    """Reads what comes through the pipe of a worker."""
    from bench.run.events import Silent, Strange, events

    def read(path: Path) -> object:
        number = os.open(path, os.O_RDONLY)
        try:
            return list(events(number, 5.0))
        except (Silent, Strange):
            return None
        finally:
            os.close(number)

    return read


def _of_options() -> dict[str, Reader]:
    """Texts of options, which are in the file, one a line."""
    from bench.cli.options import numbers_in
    from bench.errors import UserError
    from bench.networks.names import pairs, parse
    from bench.quantities.budget import find_budget
    from bench.quantities.scores import find_protocol
    from bench.quantities.variants import conditions

    functions: list[Callable[[str], object]] = [
        lambda text: numbers_in("--batch", text, 1, 9), find_budget, conditions, find_protocol, parse,
        lambda text: pairs([text]),
    ]  # fmt: skip

    def read(path: Path) -> object:
        given = path.read_bytes().decode(errors="surrogateescape")
        lines = [*given.split("\n"), *[""] * 6]
        for function, text in zip(functions, lines, strict=False):
            with suppress(UserError):
                function(text)
        return None

    valid = b"1,2,4\nsmoke\nfolded,channels_last+bfloat16\nper_image\nsmp:Unet/resnet34\nwidth=32\n"
    return {"the texts of options": Reader(read, {"options": valid}, rubbish.TEXT)}


# ---- data ------------------------------------------------------------------------------------------------------------


def _of_data(scratch: Path) -> dict[str, Reader]:
    from bench.data import nnunet, open_dataset
    from bench.data.arrays import read_npz
    from bench.data.ddti import read_case
    from bench.data.decoded import decode_mask
    from bench.data.images import gray_levels, read_mask, read_rgb, size_of
    from bench.data.patients import patients_by_file
    from bench.data.sample import Options, Sample
    from bench.data.volumes import axes_of, read_array, shape_and_spacing

    def volume(path: Path) -> object:
        shape_and_spacing(path, "image")
        return read_array(path, "image") if path.suffix == ".h5" else (read_array(path, ""), axes_of(path))

    sample = Sample("a", "", lambda: None, lambda: None, (scratch / "a.png",))

    def raw(path: Path) -> object:
        (path.parent / "imagesTr").mkdir(exist_ok=True)
        return nnunet.classes_of(path.parent, Options())

    def folder(path: Path) -> object:
        for kind in ("images", "masks"):
            (path.parent / kind).mkdir(exist_ok=True)
            for number in range(4):
                (path.parent / kind / f"{number}.png").write_bytes(PICTURES["L.png"])
        path.rename(path.parent / "masks" / f"0{path.suffix}")
        return open_dataset("folder", path.parent, Options()).read()

    case = b"""<case><number>1</number><mark><image>1</image>
<svg>[{"points": [{"x": 385, "y": 182}, {"x": 400, "y": 190}, {"x": 390, "y": 200}], "regionType": "freehand"}]</svg>
</mark></case>"""
    labels = {"channel_names": {"0": "CT"}, "labels": {"background": 0, "liver": 1}, "file_ending": ".nii.gz"}
    table = b"image,patient\na,1\nb.png,2\n"
    return {
        "an image": Reader(read_rgb, PICTURES, rubbish.BYTES, 8),
        "a mask": Reader(lambda path: (read_mask(path), gray_levels(path), size_of(path)), PICTURES, rubbish.BYTES, 4),
        "a mask as stored": Reader(decode_mask, PICTURES, rubbish.BYTES, 6),
        "a folder with an odd mask": Reader(folder, {"0.png": PICTURES["L.png"]}, rubbish.BYTES, 1),
        "a NIfTI file": Reader(volume, _nifti(), rubbish.BYTES, 6),
        "an HDF5 file": Reader(volume, {"a.h5": _hdf5(scratch)}, rubbish.BYTES, 2),
        "a file of arrays": Reader(lambda path: read_npz(path, "images"), {"a.npz": _npz()}, rubbish.BYTES),
        "a DDTI case": Reader(read_case, {"1.xml": case}, rubbish.TEXT),
        "a description of nnU-Net": Reader(raw, {"dataset.json": _json(labels)}, rubbish.JSON),
        "a table of patients": Reader(
            lambda path: patients_by_file(str(path), [sample], scratch), {"a.csv": table}, rubbish.TEXT
        ),
    }  # fmt: skip


def _pictures() -> dict[str, bytes]:
    """Small pictures of each kind of file and of pixels."""
    gray = (np.arange(24 * 20).reshape(24, 20) % 256).astype(np.uint8)
    mask = ((gray > 99) * 255).astype(np.uint8)
    color = np.stack([gray, mask, gray.T.reshape(24, 20)], axis=2)
    made = {"L": Image.fromarray(mask), "RGB": Image.fromarray(color)}
    made |= {"deep": Image.fromarray(gray.astype(np.uint16) * 257)}
    made |= {"RGBA": made["RGB"].convert("RGBA"), "P": made["RGB"].quantize(8), "1": made["L"].convert("1")}
    kinds = {
        "png": [*made], "jpg": ["L", "RGB"], "bmp": ["L", "RGB", "P"], "tif": ["L", "RGB", "deep", "1"], "gif": ["P"],
        "webp": ["RGB"],
    }  # fmt: skip
    found = {}
    for suffix, modes in kinds.items():
        for mode in modes:
            made[mode].save(to := io.BytesIO(), {"jpg": "JPEG", "tif": "TIFF"}.get(suffix, suffix.upper()))
            found[f"{mode}.{suffix}"] = to.getvalue()
    return found


PICTURES = _pictures()


def _nifti() -> dict[str, bytes]:
    import nibabel

    found = {}
    for name, kind in (("a", np.int16), ("b", np.float32)):
        image = nibabel.Nifti1Image(np.arange(6 * 5 * 4).reshape(6, 5, 4).astype(kind), np.diag([1.5, 1.5, 8, 1]))
        content = image.to_bytes()
        found |= {f"{name}.nii": content, f"{name}.nii.gz": gzip.compress(content, 1, mtime=0)}
    return found


def _hdf5(scratch: Path) -> bytes:
    import h5py

    path = scratch / "valid.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("image", data=np.arange(64.0).reshape(8, 8), compression="gzip", chunks=(4, 8))
        file.create_dataset("label", data=np.zeros((8, 8), np.uint8))
    return path.read_bytes()


def _npz() -> bytes:
    np.savez_compressed(to := io.BytesIO(), images=np.zeros((3, 8, 8), np.uint8), labels=np.ones((3, 8, 8), np.uint8))
    return to.getvalue()


def _of_scores() -> dict[str, Reader]:
    from bench.run.case_scores import read_case_scores

    case = {"metrics": {"1": {"Dice": 0.9, "IoU": 0.8, "TP": 90, "FP": 10, "FN": 10, "n_pred": 100, "n_ref": 100}},
            "prediction_file": "p/case_1.nii.gz", "reference_file": "r/case_1.nii.gz"}  # fmt: skip
    summary = {"metric_per_case": [case, {**case, "reference_file": "r/case_2.nii.gz"}], "mean": {"1": {"Dice": 0.9}}}
    csv.writer(lines := io.StringIO()).writerows(
        [("case", "team", "class", "dice", "hd95"), *((f"c{n}", "a", "liver", 0.5 + n / 9, 3.5) for n in range(4))]
    )
    long = b"case;metric;value\nc1;dice;0,5\nc1;hd95;4\nc2;dice;nan\nc2;hd95;nan\n"
    return {
        "scores of nnU-Net": Reader(read_case_scores, {"summary.json": _json(summary)}, rubbish.JSON),
        "a table of scores": Reader(
            read_case_scores, {"a.csv": lines.getvalue().encode(), "b.csv": long}, rubbish.TEXT
        ),
    }


# ---- weights ---------------------------------------------------------------------------------------------------------


class Evil:
    """An object whose unpickling makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = str(folder)

    def __reduce__(self) -> Any:
        return os.mkdir, (self.folder,)


def _of_weights(results: Path, scratch: Path, canary: Path) -> dict[str, Reader]:
    from safetensors.torch import save
    from torch import nn

    from bench.quantities import TrainSpec
    from bench.training.checkpoint import load
    from bench.training.weights import load_weights

    network = nn.Sequential(nn.Conv2d(3, 2, 3), nn.BatchNorm2d(2))
    state = network.state_dict()
    checkpoint = {"state_dict": state, "epoch": 3}
    evil = {**checkpoint, "x": Evil(canary)}
    content = {
        "a.safetensors": save(state), "a.pt": _torch(checkpoint), "old.pt": _torch(checkpoint, False),
        "evil.pt": _torch(evil), "old-evil.pt": _torch(evil, False), "evil.pkl": pickle.dumps(evil["x"]),
    }  # fmt: skip
    (card,) = results.glob("checkpoints/*/card.json")
    weights = {name: (card.parent / name).read_bytes() for name in ("weights.safetensors", "card.json")}
    spec, mine = TrainSpec.model_validate(json.loads(card.read_text())["spec"]), nn.Module()
    mine.add_module("layer", nn.Conv2d(3, 1, 3, padding=1))

    def trained(path: Path) -> object:
        for name, whole in weights.items():
            if name != path.name:
                path.with_name(name).write_bytes(whole)
        return load(mine, path.parent, card.parent.name, spec)

    return {
        "weights": Reader(lambda path: load_weights(network, path), content, [*rubbish.BYTES, _none], 6),
        "weights whose pickle is malicious": Reader(
            lambda path: load_weights(network, path), {"a.pt": content["evil.pt"]}, [_rezipped, _none, rubbish.flip], 2
        ),
        "a checkpoint": Reader(trained, weights, rubbish.JSON, 4),
    }  # fmt: skip


def _none(content: bytes, chance: random.Random) -> bytes:
    """Nothing is changed: it is rubbish already."""
    return content


def _rezipped(content: bytes, chance: random.Random) -> bytes:
    """A zip whose pickle has other bytes and a right checksum."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(to := io.BytesIO(), "w") as new:
            for name in old.namelist():
                part = old.read(name)
                new.writestr(name, rubbish.flip(part, chance) if name.endswith("data.pkl") else part)
        return to.getvalue()
    except Exception:  # noqa: BLE001 - it is rubbish already
        return content


def _torch(whole: Any, zipped: bool = True) -> bytes:
    import torch

    torch.save(whole, to := io.BytesIO(), _use_new_zipfile_serialization=zipped)
    return to.getvalue()


def _json(whole: Any) -> bytes:
    return json.dumps(whole, indent=1).encode()


def _size(path: Path) -> int:
    return path.stat().st_size
