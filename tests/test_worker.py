"""A job in a process of its own: its record, and how the ways to die are told apart."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bench import worker
from bench.budgets import find_budget
from bench.errors import UserError
from bench.plan import Question, plan
from bench.records import Store
from bench.worker import Order, run

LINUX = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="this system lists no children")


def order(tmp_path: Path, network: str, measure: str, size: int = 64, root: Path | None = None, data="synthetic"):
    planned = plan(Question((network,), (measure,), find_budget("smoke"), data, root, "cpu", size=size))
    return Order(job=planned.jobs[0], out=tmp_path, data_root=root, device="cpu", threads=1)


def kill_children(number: signal.Signals) -> None:
    """Send a signal to the processes whose parent is this one."""
    for thread in Path(f"/proc/{os.getpid()}/task").iterdir():
        for pid in (thread / "children").read_text().split():
            os.kill(int(pid), number)


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


@LINUX
def test_a_training_whose_process_is_killed_goes_on_and_ends_as_an_unbroken_one(tmp_path):
    whole, killed = (order(tmp_path / name, "mdsa_unet", "dice") for name in ("whole", "killed"))

    def kill_at_step_3(event):
        if event.get("step") == 3:
            kill_children(signal.SIGKILL)

    assert run(killed, kill_at_step_3).status == "out_of_memory"
    again = []
    resumed = run(killed, again.append)
    assert [event["step"] for event in again if "step" in event] == [3, 4]
    assert resumed.result.images == run(whole, lambda event: None).result.images
    assert resumed.result.curve == Store(whole.out).find(whole.job).result.curve


@pytest.mark.parametrize(("network", "divisor"), [("swin_unet", 32), ("unet", 16)])
def test_a_network_that_refuses_the_size_is_a_record_that_says_so(tmp_path, network, divisor):
    record = run(order(tmp_path, network, "cost", size=100), lambda event: None)
    assert record.status == "refused"
    assert f"{network} needs sides that divide by {divisor}, got 100x100" in record.error


@LINUX
@pytest.mark.parametrize(
    ("signal_number", "status", "text"),
    [(signal.SIGSEGV, "crashed", "killed by SIGSEGV"), (signal.SIGKILL, "out_of_memory", "want of memory")],
)
def test_a_worker_that_dies_is_a_record_that_says_how(tmp_path, signal_number, status, text):
    record = run(order(tmp_path, "mdsa_unet", "dice"), lambda event: kill_children(signal_number))
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


def test_loader_processes_start_beside_the_watch_for_the_parent(tmp_path):
    """Training on a GPU forks loader processes; each closes standard input, which the watch must not hold."""
    script = tmp_path / "loads.py"
    script.write_text(
        "import sys, threading, os\n"
        "from bench import worker\n"
        "worker._do = lambda order, tell: __import__('loads').load()\n"
        "def load():\n"
        "    from torch.utils.data import DataLoader\n"
        "    return {'end': 'ok', 'sum': sum(int(batch) for batch in DataLoader(range(5), 1, num_workers=1))}\n"
        "if __name__ == '__main__':\n"
        "    worker.main()\n"
    )
    asked = order(tmp_path, "unet", "cost")
    variables = {**os.environ, "PYTHONPATH": f"{Path(worker.__file__).parent.parent}{os.pathsep}{tmp_path}"}
    with subprocess.Popen(
        [sys.executable, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=variables
    ) as child:
        child.stdin.write(asked.model_dump_json() + "\n")
        child.stdin.flush()
        line = next(iter(child.stdout), "")
        child.stdin.close()
    assert json.loads(line) == {"end": "ok", "sum": 10}
