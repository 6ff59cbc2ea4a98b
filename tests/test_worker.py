"""A job in a process of its own: its record, and how the ways to die are told apart."""

import os
import signal
from pathlib import Path

import pytest

from bench.budgets import find_budget
from bench.errors import UserError
from bench.plan import Question, plan
from bench.records import Store
from bench.worker import Order, run


def order(tmp_path: Path, network: str, measure: str, size: int = 64, root: Path | None = None, data="synthetic"):
    planned = plan(Question((network,), (measure,), find_budget("smoke"), data, root, "cpu", size))
    return Order(job=planned.jobs[0], out=tmp_path, data_root=root, device="cpu", threads=1)


def test_a_job_leaves_a_record_and_tells_what_it_does(tmp_path):
    events = []
    asked = order(tmp_path, "mdsa_unet", "dice")
    record = run(asked, events.append)
    assert record.status == "ok"
    assert Store(tmp_path).find(asked.job) == record
    assert [event["step"] for event in events if "step" in event] == [1, 2, 3, 4]
    assert len(record.result.images) == 6
    assert [point.step for point in record.result.curve] == [2, 4]
    assert "MALLOC_TRIM_THRESHOLD_" in record.environment.variables
    assert not record.result.loaded

    # The checkpoint serves another scoring of the same training: it is loaded, and gives the same figures.
    spec = asked.job.spec.model_copy(update={"test_images": 3})
    again = asked.model_copy(update={"job": asked.job.model_copy(update={"spec": spec})})
    loaded = run(again, lambda event: None).result
    assert loaded.loaded
    same = {image.id: image.dice for image in record.result.images}
    assert all(same[image.id] == pytest.approx(image.dice) for image in loaded.images if image.id in same)

    # A checkpoint of another shape stops the run in words.
    weights = next(tmp_path.glob("checkpoints/*/weights.safetensors"))
    from safetensors.torch import load_file, save_file

    tensors = load_file(weights)
    tensors["head.bias"] = tensors["head.bias"].repeat(4)
    save_file(tensors, weights)
    spec = asked.job.spec.model_copy(update={"test_images": 2})
    third = asked.model_copy(update={"job": asked.job.model_copy(update={"spec": spec})})
    with pytest.raises(UserError, match=r"head.bias is \(4,\), the network's is \(1,\).*delete"):
        run(third, lambda event: None)
    assert Store(tmp_path).find(third.job) is None


def test_a_network_that_refuses_the_size_is_a_record_that_says_so(tmp_path):
    record = run(order(tmp_path, "swin_unet", "cost", size=100), lambda event: None)
    assert record.status == "refused"
    assert "swin_unet needs sides that divide by 32, got 100x100" in record.error


def children() -> list[int]:
    """Processes whose parent is this one."""
    task = Path(f"/proc/{os.getpid()}/task")
    return [int(pid) for thread in task.iterdir() for pid in (thread / "children").read_text().split()]


@pytest.mark.skipif(
    not Path(f"/proc/self/task/{os.getpid()}/children").exists(), reason="this system lists no children"
)
@pytest.mark.parametrize(
    ("signal_number", "status", "text"),
    [(signal.SIGSEGV, "crashed", "killed by SIGSEGV"), (signal.SIGKILL, "out_of_memory", "want of memory")],
)
def test_a_worker_that_dies_is_a_record_that_says_how(tmp_path, signal_number, status, text):
    def kill(event):
        for pid in children():
            os.kill(pid, signal_number)

    record = run(order(tmp_path, "mdsa_unet", "dice"), kill)
    assert record.status == status
    assert text in record.error
    assert record.result is None


def test_an_unreadable_image_stops_the_run_and_names_the_file(tmp_path):
    from PIL import Image

    root = tmp_path / "isic"
    for part in ("Training", "Validation"):
        images, masks = root / f"ISIC-2017_{part}_Data", root / f"ISIC-2017_{part}_Part1_GroundTruth"
        images.mkdir(parents=True)
        masks.mkdir()
        for n in range(12):
            Image.new("RGB", (40, 40), (n, 90, 90)).save(images / f"ISIC_{part}{n}.jpg")
            Image.new("L", (40, 40), 255).save(masks / f"ISIC_{part}{n}_segmentation.png")
    for image in (root / "ISIC-2017_Training_Data").iterdir():
        image.write_bytes(image.read_bytes()[:200])
    asked = order(tmp_path / "out", "mdsa_unet", "dice", root=root, data="isic2017")
    with pytest.raises(UserError, match=r"cannot read the image .*ISIC_Training\d+\.jpg"):
        run(asked, lambda event: None)
    assert Store(tmp_path / "out").find(asked.job) is None
