"""`bench jobs`, `work`, `status` and `cancel` as a user types them, and studies that `bench run` takes."""

import json
import os
from pathlib import Path

import pytest
from commanding import bench
from orders import TINY
from slurm_study import clinic

STUDY = """\
networks = ["tiny.py:Tiny"]
measures = ["cost", "dice"]
budget = "smoke"
steps = 2
sizes = [32]
device = "cpu"
threads = 1
precision = "float32"

[[data]]
name = "folder"
root = "clinic"
"""


@pytest.fixture
def place(tmp_path) -> Path:
    """A folder with a study, its network and its images."""
    (tmp_path / "tiny.py").write_text(TINY)
    (tmp_path / "study.toml").write_text(STUDY)
    clinic(tmp_path)
    return tmp_path


def keys(place: Path, *more: str) -> list[str]:
    done = bench("jobs", *(more or ("study.toml",)), "--json", cwd=place)
    assert done.returncode == 0, done.stderr
    return [task["key"] for task in json.loads(done.stdout)]


def refused(place: Path, *arguments: str) -> str:
    """What a command that is refused says, in a line."""
    done = bench(*arguments, cwd=place)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    return done.stderr


def test_tasks_are_listed_done_and_gone_from_the_list(place):
    training, alone = keys(place)
    assert alone.startswith("times-")
    assert bench("work", training, alone, "--quiet", cwd=place).returncode == 0
    before = {path: path.stat().st_mtime_ns for path in (place / "results").glob("*.json")}
    assert keys(place) == []
    assert "2 tasks: 2 on record" in bench("status", cwd=place).stdout
    assert bench("work", alone, training, training, "--quiet", cwd=place).returncode == 0
    assert {path: path.stat().st_mtime_ns for path in (place / "results").glob("*.json")} == before


def test_what_a_run_without_a_queue_did_is_on_record(place):
    assert bench("run", "study.toml", "--measure", "cost", "--quiet", cwd=place).returncode == 0
    status = bench("status", "study.toml", "--out", "results", cwd=place)
    assert "1 to do" in status.stdout
    cost_alone = bench("status", cwd=place).stdout
    assert "1 tasks: 1 on record" in cost_alone


def test_the_study_says_where_its_records_are(place):
    (place / "study.toml").write_text('out = "found"\n' + STUDY)
    alone = keys(place)[-1]
    assert bench("work", alone, "--study", "study.toml", "--quiet", cwd=place).returncode == 0
    assert [*(place / "found").glob("*-cost-*.json")]
    assert not (place / "results").exists()


def test_a_saved_study_is_the_same_tasks(place):
    options = ["tiny.py:Tiny", "--dataset", "folder", "--data-root", "clinic", "--measure", "cost,dice"]
    options += ["--budget", "smoke", "--size", "32", "--device", "cpu", "--seeds", "0,3", "--lr", "1e-3,3e-4"]
    (place / "below").mkdir()
    for name in ("saved.toml", "below/saved.toml"):
        assert bench("run", *options, "--out", "results", "--save-study", name, cwd=place).returncode == 0
        assert keys(place, name) == keys(place, *options)
    assert 'out = "../results"' in (place / "below" / "saved.toml").read_text()


def test_steps_that_are_given_replace_the_files_epochs(place):
    (place / "study.toml").write_text(STUDY.replace("steps = 2", "epochs = 2"))
    assert bench("run", "study.toml", "--steps", "5", "--save-study", "other.toml", cwd=place).returncode == 0
    assert "steps = 5" in (place / "other.toml").read_text()
    assert "epochs" not in (place / "other.toml").read_text()


def test_a_data_set_to_test_on_has_a_name(place):
    for text in ("", "=x", " "):
        assert "--test-on takes the name of a data set" in refused(place, "jobs", "study.toml", "--test-on", text)


def test_two_folders_of_images_are_told_apart_in_the_list(place):
    clinic(place / "other")
    image, another = sorted((place / "other" / "clinic" / "masks").iterdir())[:2]
    image.write_bytes(another.read_bytes())
    (place / "study.toml").write_text(STUDY + '[[data]]\nname = "folder"\nroot = "other/clinic"\n')
    listed = json.loads(bench("jobs", "study.toml", "--json", cwd=place).stdout)
    assert [task["root"] for task in listed] == ["clinic", "other/clinic", None]


def test_an_unknown_key_is_refused_with_the_known_ones_and_with_why_it_may_be(place):
    training = keys(place)[0]
    assert "did you mean" in refused(place, "work", training[:-1] + "x")
    (place / "tiny.py").write_text(TINY.replace("ReLU", "GELU"))
    told = refused(place, "work", training)
    assert "a task whose network, data or settings changed has another key" in told
    assert "no study is kept in nowhere" in refused(place, "work", training, "--out", "nowhere")


def test_a_kept_study_that_cannot_be_read_stops_no_other(place):
    alone = keys(place)[-1]
    broken = place / "results" / "studies" / "zz.toml"
    broken.write_text('half = "a')
    os.utime(broken, (2**32, 2**32))
    assert "zz.toml was left out: " in refused(place, "work", "nothing")
    assert bench("work", alone, "--quiet", cwd=place).returncode == 0
    assert "zz.toml" in refused(place, "status")


def test_what_is_no_record_of_submissions_is_passed_over(place):
    keys(place)
    (place / "results" / "studies" / "submitted.jsonl").write_bytes(b"\xff\xfe\n")
    assert "2 to do" in bench("status", "study.toml", cwd=place).stdout
    assert "no task of this study is in the queue" in bench("cancel", "study.toml", cwd=place).stdout


def test_claims_that_cannot_be_read_are_told_before_the_work(place):
    (place / "study.toml").write_text('claims = "nowhere.toml"\n' + STUDY)
    assert "nowhere.toml" in refused(place, "run", "study.toml", "--quiet")
    assert [*(place / "results").glob("*.json")] == []


@pytest.mark.parametrize("name", ["/:", ":x", "..:x", ".:x"])
def test_names_of_networks_that_are_no_module_are_refused(place, name):
    (place / "study.toml").write_text(f'networks = ["{name}"]\n')
    told = refused(place, "jobs", "study.toml")
    assert "is a folder; name the file in it" in told or "no module '' is installed" in told
