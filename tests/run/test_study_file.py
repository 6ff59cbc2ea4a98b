"""Studies as files: what is read, what is refused and where, what options change, and what is written."""

from pathlib import Path

import pytest
from paging import ROOT, blocks

from bench.data import DataAt
from bench.errors import UserError
from bench.quantities.training import Training
from bench.run.kept_study import as_toml, keep_study, kept_studies, settled
from bench.run.study_file import StudyFile, changed, read_study, with_data

WHOLE = """\
networks = ["unet", "mdsa_unet"]
measures = ["cost", "dice"]
budget = "smoke"
seeds = [0, 1]
sizes = [64, 128]
batches = [1, 8]
variants = ["folded"]
device = "cpu"
precision = "float32"
test_on = "folder"
out = "found"

[[data]]
name = "synthetic"

[[data]]
name = "folder"
root = "images of ours"
classes = ["nodule"]
split_file = "sides.json"
train = false

[training]
learning_rate = 1e-3
weight_decay = 0.05

[slurm]
partition = "gpu"
time = "02:00:00"
"""


@pytest.fixture
def written(tmp_path):
    def write(text: str, name: str = "study.toml") -> Path:
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def test_a_study_is_what_its_file_says(written, tmp_path):
    file = read_study(written(WHOLE))
    study = file.study()
    assert (study.networks, study.measures, study.budget.name) == (("unet", "mdsa_unet"), ("cost", "dice"), "smoke")
    assert (study.seeds, study.size, study.sizes, study.batches) == ((0, 1), 64, (128,), (1, 8))
    assert (study.variants, study.device, study.precision) == (("folded",), "cpu", "float32")
    assert study.data == (DataAt("synthetic"),)
    (other,) = study.test_on
    assert (other.name, other.root, other.options.classes) == ("folder", tmp_path / "images of ours", ("nodule",))
    assert other.options.split_file == tmp_path / "sides.json"
    assert study.training == Training(learning_rates=(1e-3,), weight_decay=0.05)
    assert (file.out, file.slurm.partition, file.slurm.time) == (tmp_path / "found", "gpu", 120)


def test_a_study_that_says_nothing_is_a_command_without_options(written):
    assert read_study(written('networks = ["unet"]\n')).study() == StudyFile(networks=["unet"]).study()


def test_networks_have_settings_of_their_own(written, tmp_path):
    text = 'groups = ["light"]\n[networks.unet]\n[networks."mine.py:Tiny"]\narguments = {width = 8, deep = true}\n'
    study = read_study(written(text + '[networks."mine.py:Tiny".training]\nbatch = 2\n'))
    (tmp_path / "mine.py").write_text(
        "from torch import nn\nclass Tiny(nn.Module):\n    def __init__(self, width, deep): super().__init__()\n"
    )
    asked = study.study()
    named = f"{tmp_path}/mine.py:Tiny?deep=true&width=8"
    assert asked.networks == ("unet", named, "egeunet", "malunet", "unext")
    assert asked.own_training == {named: Training(batch=2)}


def test_all_folds_of_a_data_set_are_several_data_sets(written):
    text = 'networks = ["unet"]\n[[data]]\nname = "tn3k"\nroot = "x"\n'
    data = read_study(written(text + 'folds = "all"\n')).study().data
    assert [at.options.fold for at in data] == [0, 1, 2, 3, 4]
    assert [at.options.fold for at in read_study(written(text + "folds = [1, 3]\n")).study().data] == [1, 3]
    for more, told in {
        'folds = "all"\nfold = 2\n': "both fold and folds were given for tn3k",
        'folds = "some"\n': "folds: input should be 'all'; got some",
    }.items():
        with pytest.raises(UserError, match=told):
            read_study(written(text + more)).study()
    with pytest.raises(UserError, match="no folds of synthetic are published"):
        read_study(written('networks = ["unet"]\n[[data]]\nname = "synthetic"\nfolds = "all"\n')).study()


REFUSED = {
    "an unknown key": ('network = ["unet"]\n', ":1: unknown key 'network'; did you mean 'networks'?"),
    "an unknown key of data": ('[[data]]\nname = "x"\nrot = "x"\n', ":3: unknown key 'rot'; did you mean 'root'?"),
    "of the second data": (
        '[[data]]\nname = "x"\n[[data]]\nname = "folder"\nclas = 1\n',
        ":5: unknown key 'clas'; did you mean 'class",
    ),
    "of a training": ("[training]\nlr = 1\n", ":2: unknown key 'lr'"),
    "of one network's": ("[networks.unet.training]\nbatchs = 1\n", ":2: unknown key 'batchs'; did you mean 'batch'?"),
    "of a network": ("\n[networks.unet]\ntrainings = 1\n", ":3: unknown key 'trainings'; did you mean 'training'?"),
    "of Slurm": ("[slurm]\npartitions = 'x'\n", ":2: unknown key 'partitions'; did you mean 'partition'?"),
    "no name": ('[[data]]\nroot = "x"\n', ":1: data.0.name is missing; add it"),
    "a seed below zero": ("seeds = [0, -1]\n", ":1: seeds.1: input should be greater than or equal to 0; got -1"),
    "a word for a number": ('sizes = ["large"]\n', ":1: sizes.0: input should be a valid integer"),
    "no seed": ("seeds = []\n", ":1: seeds: list should have at least 1 item"),
    "a wrong device": ('device = "gpu"\n', ":1: device: input should be 'auto', 'cpu' or 'cuda'; got gpu"),
    "no table": ("training = 3\n", ":1: training: input should be a table"),
    "no TOML": ("networks = [unet\n", ":1: not valid TOML"),
    "a list of no names": ("networks = [3]\n", ":1: networks"),
    "what no training can have": ("[training]\n[networks.unet.training]\nlearning_rate = -1\n", ":2: --lr"),
    "no data set": ("data = []\n", ":1: data: list should have at least 1 item"),
    "a text for a list": ('measures = "dice"\n', ":1: measures: input should be a list; got dice"),
    "an empty path": ('budget = "smoke"\nout = ""\n', ":2: out: a path is not empty"),
    "an empty path of data": ('[[data]]\nname = "folder"\nroot = ""\n', ":3: data.0.root: a path is not empty"),
    "arguments of one of ours": (
        "\n[networks.unet]\narguments = {x = 1}\n",
        ":2: --arg is for networks from elsewhere",
    ),
    "an unknown data set": (
        '[[data]]\nname = "folder"\n[[data]]\nname = "tn3"\n',
        ":3: unknown data set 'tn3'; did you mean 'tn3k'?",
    ),
    "an unknown group": ('seeds = [1]\ngroups = ["cn"]\n', ":2: unknown group 'cn'; did you mean 'cnn'?"),
    "an unknown measure": ('seeds = [1]\nmeasures = ["costs"]\n', ":2: unknown measure 'costs'; did you mean 'cost'?"),
    "an unknown variant": ('seeds = [1]\nvariants = ["fold"]\n', ":2: unknown variant 'fold'; did you mean 'folded'?"),
    "a fold below zero": ('[[data]]\nname = "tn3k"\nfolds = [-1]\n', ":3: data.0.folds"),
    "a key of the study below a table": (
        "[slurm]\nseeds = [1]\n",
        ":2: 'seeds' is not a key of [slurm] but of the study",
    ),
    "a control character": ('"\\u001b[31m" = 1\n', r"unknown key '\x1b[31m'"),
}


@pytest.mark.parametrize(("text", "told"), REFUSED.values(), ids=[*REFUSED])
def test_refusals_name_the_file_and_the_line(written, text, told):
    path = written(text)
    with pytest.raises(UserError) as refused:
        read_study(path)
    assert str(refused.value).startswith(str(path))
    assert told in str(refused.value)


def test_a_study_has_to_train_on_something(written):
    with pytest.raises(UserError, match="trains on no data set: synthetic has train = false"):
        read_study(written('networks = ["unet"]\n[[data]]\nname = "synthetic"\ntrain = false\n')).study()


def test_what_is_said_twice_counts_once(written):
    text = 'networks = ["unet", "unet"]\nseeds = [3, 0, 3]\nsizes = [64, 64]\n'
    study = read_study(written(text + 2 * '[[data]]\nname = "tn3k"\nroot = "x"\nfolds = [1, 1, 0]\n')).study()
    assert (study.networks, study.seeds, study.size, study.sizes) == (("unet",), (3, 0), 64, ())
    assert [at.options.fold for at in study.data] == [1, 0]


def test_what_is_only_tested_on_itself_is_refused(written):
    study = read_study(written('networks = ["unet"]\ntest_on = "synthetic"\n'))
    with pytest.raises(UserError, match="--test-on synthetic: no other data set is trained on"):
        study.study()
    assert changed(study, {"test_on": ("all",)}).study().data == (DataAt("synthetic"),)


def test_one_network_needs_no_list(written):
    assert read_study(written('networks = "unet"\n')).study().networks == ("unet",)


def test_a_data_set_to_test_on_must_be_there(written):
    with pytest.raises(UserError, match="unknown data set in test_on 'tn3'; did you mean 'tn3k'"):
        read_study(written('networks = ["unet"]\ntest_on = ["tn3"]\n[[data]]\nname = "tn3k"\n')).study()


@pytest.mark.parametrize("content", [None, b"\xff\xfe", b"x = 1\n" * 100_000])
def test_what_is_no_study_is_refused_in_a_line(tmp_path, content):
    path = tmp_path / "study.toml"
    if content:
        path.write_bytes(content)
    with pytest.raises(UserError) as refused:
        read_study(path)
    assert "\n" not in str(refused.value)


def test_what_the_docs_show_is_read(written):
    shown = [text for page in ("study", "cluster") for text in blocks(ROOT / "docs" / f"{page}.md", "toml")]
    assert len(shown) > 3
    for text in shown:
        read_study(written(text))


# ---- options above the file ------------------------------------------------------------------------------------------


def test_what_is_given_stands_above_the_file(written):
    study = changed(read_study(written(WHOLE)), {"seeds": (5,), "networks": {"unet": {}}})
    assert (study.seeds, [*study.networks], study.budget) == ((5,), ["unet"], "smoke")


def test_a_data_set_that_is_named_is_the_files_own_with_what_is_given(written, tmp_path):
    study = read_study(written(WHOLE))
    found = changed(study, with_data(study, "folder", {"levels": ("0", "255")}))
    (only,) = found.data
    assert (only.root, only.classes, only.levels) == (tmp_path / "images of ours", ("nodule",), ("0", "255"))
    assert changed(study, with_data(study, "ddti", {"root": Path("x")})).data[0].root == Path("x")
    with pytest.raises(UserError, match=r"several data sets \(synthetic, folder\); say with --dataset"):
        with_data(study, None, {"root": Path("x")})


def test_a_fold_that_is_given_replaces_the_files_folds(written):
    text = 'networks = ["unet"]\n[[data]]\nname = "tn3k"\nroot = "x"\n'
    all_folds, one = read_study(written(text + 'folds = "all"\n')), read_study(written(text + "fold = 2\n", "b.toml"))
    data = changed(all_folds, with_data(all_folds, None, {"fold": 3})).study().data
    assert [at.options.fold for at in data] == [3]
    data = changed(one, with_data(one, None, {"folds": (0, 1)})).study().data
    assert [at.options.fold for at in data] == [0, 1]


TWO_FOLDERS = 'networks = ["unet"]\n' + "".join(f'[[data]]\nname = "folder"\nroot = "{root}"\n' for root in "ab")


def test_two_data_sets_of_one_name_are_both_meant(written, tmp_path):
    study = read_study(written(TWO_FOLDERS))
    assert [at.root for at in study.study().data] == [tmp_path / "a", tmp_path / "b"]
    found = changed(study, with_data(study, "synthetic", {}, [("folder", None)])).study()
    assert [at.root for at in found.test_on] == [tmp_path / "a", tmp_path / "b"]
    with pytest.raises(UserError, match="2 data sets called folder; say in its file how each is read"):
        with_data(study, "folder", {"root": Path("c")})


def test_others_are_tested_on():
    study = StudyFile(networks=["unet"])
    found = changed(study, with_data(study, "ddti", {"root": Path("a")}, [("tn3k", Path("b")), ("synthetic", None)]))
    asked = found.study()
    assert (asked.data, asked.test_on) == (
        (DataAt("ddti", Path("a")),), (DataAt("tn3k", Path("b")), DataAt("synthetic")),
    )  # fmt: skip


# ---- files that are written ------------------------------------------------------------------------------------------


def test_what_is_written_is_read_as_the_same_study(written, tmp_path, monkeypatch):
    study = read_study(written(WHOLE))
    other = tmp_path / "other" / "again.toml"
    other.parent.mkdir()
    other.write_text(as_toml(study, other.parent))
    assert read_study(other).study() == study.study()
    assert "seeds = [0, 1]" in other.read_text()


def test_paths_in_what_is_written_lead_from_its_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = with_data(StudyFile(networks={}), "ddti", {"root": Path("data/DDTI")})
    study = changed(StudyFile(networks=["nets/mine.py:Tiny"]), {**data, "out": Path("found")})
    path = keep_study(study, "ours")
    assert path.parent == Path("found/studies")
    assert 'root = "../../data/DDTI"' in path.read_text()
    again = read_study(path)
    assert [*again.networks] == ["nets/mine.py:Tiny"]
    assert (again.data[0].root, again.out) == (Path("data/DDTI"), Path("found"))
    assert keep_study(study, "ours") == path
    assert kept_studies(Path("found")) == [path]


def test_the_usual_folder_is_named_too_for_the_file_lies_elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = keep_study(StudyFile(networks=["unet"]))
    assert 'out = ".."' in path.read_text()
    monkeypatch.chdir(tmp_path.parent)
    assert read_study(tmp_path / path).out == tmp_path / "results"


def test_only_files_are_kept_studies(tmp_path):
    folder = tmp_path / "studies"
    (folder / "folder.toml").mkdir(parents=True)
    (folder / "gone.toml").symlink_to("nowhere")
    (folder / "study.toml").write_text('networks = ["unet"]\n')
    assert kept_studies(tmp_path) == [folder / "study.toml"]


@pytest.mark.parametrize("threads", ['"1"', "true", "1.5", "0", "null", "[1]"])
def test_what_was_settled_is_not_read_if_it_is_damaged(tmp_path, threads):
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies" / "settled-cpu.json").write_text(f'{{"precision": "float32", "threads": {threads}}}')
    with pytest.raises(UserError, match="not as it was written"):
        settled(StudyFile(networks=["unet"], device="cpu").study(), tmp_path)


def test_what_the_first_machine_settled_holds_for_all(tmp_path):
    study = StudyFile(networks=["unet"], device="cpu").study()
    assert settled(study, tmp_path) == study
    first = settled(study, tmp_path, write=True)
    assert first.training_threads == first.asked(None).threads
    (file,) = (tmp_path / "studies").iterdir()
    file.write_text(file.read_text().replace("bfloat16", "float32").replace('"threads": ', '"threads": 1'))
    again = settled(study, tmp_path, write=True)
    assert (again.precision, again.training_threads) == ("float32", 10 + first.training_threads)
    fixed = StudyFile(networks=["unet"], device="cpu", precision="bfloat16", threads=1).study()
    assert (settled(fixed, tmp_path).precision, settled(fixed, tmp_path).training_threads) == ("bfloat16", 1)
    file.write_text("{}")
    with pytest.raises(UserError, match="not as it was written"):
        settled(study, tmp_path)
