"""The worker's side: what is measured is not disturbed by how it is told."""

import json
import os
import subprocess
import sys
from pathlib import Path

from orders import order

import bench


def test_loader_processes_start_beside_the_watch_for_the_parent(tmp_path):
    """Training on a GPU forks loader processes; each closes standard input, which the watch must not hold."""
    script = tmp_path / "loads.py"
    script.write_text(
        "import sys, threading, os\n"
        "from bench.run import child\n"
        "child._do = lambda order, tell: __import__('loads').load()\n"
        "def load():\n"
        "    from torch.utils.data import DataLoader\n"
        "    return {'end': 'ok', 'sum': sum(int(batch) for batch in DataLoader(range(5), 1, num_workers=1))}\n"
        "if __name__ == '__main__':\n"
        "    child.main()\n"
    )
    asked = order(tmp_path, "unet", "cost")
    variables = {**os.environ, "PYTHONPATH": f"{Path(bench.__file__).parents[1]}{os.pathsep}{tmp_path}"}
    with subprocess.Popen(
        [sys.executable, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=variables
    ) as child:
        child.stdin.write(asked.model_dump_json() + "\n")
        child.stdin.flush()
        line = next(iter(child.stdout), "")
        child.stdin.close()
    assert json.loads(line) == {"end": "ok", "sum": 10}
