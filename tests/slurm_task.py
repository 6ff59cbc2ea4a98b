"""A task for tests in the place of `bench work`: steps that are counted in a checkpoint, then a record of their sum.

`python slurm_task.py KEY FOLDER STEPS` takes 0.1 s a step. At SIGTERM it saves and ends with 130. It goes on from its
checkpoint, so the record says the same however often it was stopped; each attempt is a line of `KEY.attempts`.
"""

import os
import signal
import sys
import time
from pathlib import Path


def main(key: str, folder: str, steps: str) -> None:
    saved, heard = Path(folder, f"{key}.checkpoint"), []
    signal.signal(signal.SIGTERM, lambda *_: heard.append(True))
    step, total = map(int, saved.read_text().split()) if saved.exists() else (0, 0)
    gpus = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    with Path(folder, f"{key}.attempts").open("a") as attempts:
        print(os.environ.get("SLURMD_NODENAME"), gpus or "-", os.getpid(), step, file=attempts)
    while step < int(steps):
        time.sleep(0.1)
        step += 1
        total = (total * 31 + step) % 1_000_003
        if heard:
            saved.write_text(f"{step} {total}")
            sys.exit(130)
    Path(folder, f"{key}.record.tmp").write_text(str(total))
    Path(folder, f"{key}.record.tmp").rename(Path(folder, f"{key}.record"))


if __name__ == "__main__":
    main(*sys.argv[1:])
