"""Pictures that are damaged, or made to harm: each is one line that names it, before memory or time is taken."""

import io
import os
import struct
import time
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from opened import refused
from PIL import Image

from bench.data import Options, broken, limits
from bench.data.check import check
from bench.data.decoded import decode_mask, packed
from bench.data.images import read_mask, read_rgb


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width: int, height: int, *more: bytes) -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    parts = (head, *more, chunk(b"IDAT", zlib.compress(bytes(100))), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def bmp(width: int, height: int) -> bytes:
    head = struct.pack("<IHHIIiiHHIIiiII", 100, 0, 0, 54, 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + head + bytes(50)


def like(kind: str, width: int, height: int) -> bytes:
    """A file of a small picture whose header declares another size."""
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, kind)
    content = file.getvalue()
    if kind == "JPEG":
        at = content.index(b"\xff\xc0") + 5
        return content[:at] + struct.pack(">HH", height, width) + content[at + 4 :]
    for tag, side in ((256, width), (257, height)):
        at = content.index(struct.pack("<HHI", tag, 4, 1)) if struct.pack("<HHI", tag, 4, 1) in content else None
        at = at if at is not None else content.index(struct.pack("<HHI", tag, 3, 1))
        content = content[: at + 2] + struct.pack("<HII", 4, 1, side) + content[at + 12 :]
    return content


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.png", png(50_000, 50_000)), ("a.bmp", bmp(50_000, 50_000)), ("a.jpg", like("JPEG", 50_000, 50_000)),
        ("a.tif", like("TIFF", 50_000, 50_000)), ("b.png", png(9_000, 9_000)), ("b.tif", like("TIFF", 9_000, 9_000)),
        ("a.ppm", b"P6 50000 50000 255\n" + bytes(100)),
    ],
)  # fmt: skip
@pytest.mark.parametrize("read", [read_rgb, read_mask])
def test_pictures_that_declare_too_many_pixels_are_refused(tmp_path, name, content, read):
    path = tmp_path / name
    path.write_bytes(content)
    assert "pixels" in refused(read, path)


def test_a_picture_with_a_text_that_swells_is_refused(tmp_path):
    path = tmp_path / "a.png"
    bomb = chunk(b"zTXt", b"note\0\0" + zlib.compress(bytes(80 << 20)))
    path.write_bytes(png(8, 8, bomb))
    assert "too large" in refused(read_rgb, path)


def test_a_page_of_postscript_is_not_drawn(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n%%EOF\n")
    assert "cannot identify image file; the file is broken" in refused(read_rgb, path)


def test_a_large_picture_that_is_all_alike_is_read(tmp_path):
    path = tmp_path / "a.png"
    Image.new("L", (7000, 7000)).save(path)
    assert read_mask(path).shape == (7000, 7000)


def test_all_that_is_no_image_in_a_folder_is_named_at_once(tmp_path):
    noise = np.random.default_rng(0)
    for number in range(12):
        mask = np.zeros((16, 16), np.uint8)
        mask[number : number + 4, 3:9] = 255
        for folder, values in (("images", noise.integers(0, 255, (16, 16, 3), np.uint8)), ("masks", mask)):
            (tmp_path / folder).mkdir(exist_ok=True)
            Image.fromarray(values).save(tmp_path / folder / f"a{number}.png")
    images, masks = tmp_path / "images", tmp_path / "masks"
    (images / "a1.png").write_bytes((images / "a1.png").read_bytes()[:100])
    (masks / "a2.png").write_bytes(b"")
    (images / "a3.png").write_bytes(png(50_000, 50_000))
    for path, target in ((masks / "a4.png", "/dev/zero"), (masks / "a5.png", "a5.png"), (tmp_path / "around", ".")):
        path.unlink(missing_ok=True)
        path.symlink_to(target)
    (images / "a6.png").unlink()
    os.mkfifo(images / "a6.png")
    faults = check("folder", tmp_path, Options()).faults
    told = "\n".join(faults)
    assert all(f"a{number}.png" in told for number in range(1, 7))
    assert len(faults) == 6


JPEG, PNM = like("JPEG", 8, 8), b"8 8 255\n"
PARTED = {
    "a comment": ("a.ppm", b"P6\n#" + bytes(300_000) + b"\n" + PNM + bytes(192)),
    "comments": ("a.pgm", b"P5\n" + b"#\n" * 200_000 + PNM + bytes(64)),
    "comments in text": ("a.pgm", b"P2\n" + PNM + b"#\n" * 50_000 + b"1 " * 64),
    "fillers": ("a.jpg", JPEG[:2] + b"\xff" * 300_000 + JPEG[2:]),
    "segments": ("a.jpg", JPEG[:2] + b"\xff\xe1\x00\x02" * 100_000 + JPEG[2:]),
    "chunks": ("a.png", png(8, 8, *[chunk(b"abCd", b"")] * 100_000)),
}


@pytest.mark.parametrize(("name", "content"), PARTED.values(), ids=PARTED)
def test_a_picture_in_a_million_parts_is_refused(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    assert "more comments, pages or other parts than a picture has" in refused(read_rgb, path)


def test_pixels_written_as_text_are_read_with_a_few_comments(tmp_path):
    path = tmp_path / "a.pgm"
    path.write_bytes(b"P2\n# by hand\n2 2 # small\n255\n" + b"0 255 # right\n0 255\n")
    assert read_mask(path).tolist() == [[0, 1], [0, 1]]
    with path.open("ab") as file:
        file.truncate(limits.TEXT + 1)
    assert "at most 64.0 MiB are read" in refused(read_mask, path)


def test_a_picture_of_many_strips_is_read(tmp_path):
    path = tmp_path / "a.tif"
    Image.new("L", (3000, 3000), 255).save(path, tiffinfo={278: 1})
    assert read_mask(path).all()


def test_many_pages_are_told_without_counting_them(tmp_path):
    path, pages = tmp_path / "a.tif", io.BytesIO()
    Image.new("L", (8, 8)).save(pages, "TIFF", save_all=True, append_images=[Image.new("L", (8, 8))])
    content = bytearray(pages.getvalue())
    first = struct.unpack_from("<I", content, 4)[0]
    count = struct.unpack_from("<H", content, first)[0]
    second = struct.unpack_from("<I", content, first + 2 + 12 * count)[0]
    count = struct.unpack_from("<H", content, second)[0]
    struct.pack_into("<I", content, second + 2 + 12 * count, len(content))  # a third page, which is not there
    path.write_bytes(bytes(content))
    assert "has several pages" in refused(decode_mask, path)


def test_colors_are_packed_above_all_gray_levels():
    colors = np.array([[[7, 7, 7], [1, 2, 3]], [[255, 255, 255], [255, 0, 0]]], np.uint8)
    found = packed(colors)
    assert found.dtype == np.int32
    assert found.tolist() == [[7, (1 << 24) + 0x010203], [255, (1 << 24) + 0xFF0000]]
    assert packed(colors[:, :1]).tolist() == [[7], [255]]


def test_large_pictures_are_decoded_one_at_a_time(tmp_path, monkeypatch):
    paths = [tmp_path / f"{name}.png" for name in "ab"]
    for path in paths:
        Image.new("L", (40, 40)).save(path)
    monkeypatch.setattr(broken, "LARGE", 1000)
    at, most = [], []

    def decode(path):
        with broken.in_turn(path, tmp_path / "none.png"):
            at.append(path)
            time.sleep(0.02)
            most.append(len(at))
            at.remove(path)

    with ThreadPoolExecutor() as pool:
        list(pool.map(decode, paths * 3))
    assert most == [1] * 6
