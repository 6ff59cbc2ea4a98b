"""Records are read from folders, files and commits; what is damaged is named and stops nothing."""

import os
from contextlib import suppress
from pathlib import Path

import pytest
from claiming import counted, trained
from gitting import commit, git
from handmade import cost_record, dice_record

import bench.read.load as load_module
from bench.errors import UserError
from bench.read.load import commits, load, read, record_folders, records_at
from bench.run.store import Store


@pytest.fixture
def repository(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    commit(tmp_path, [counted(parameters=1), trained("unet", (0.5,))], "first")
    commit(tmp_path, [counted(parameters=2)], "second")
    return tmp_path


def test_a_revision_has_its_own_records_scores_included(repository):
    first = {record.job.network: record for record in read(["HEAD~1"]).records}
    assert first["mdsa_unet"].result.parameters == 1
    assert len(first["unet"].result.images) == 1
    (second,) = read(["HEAD:results"]).records
    assert second.result.parameters == 2


def test_a_folder_and_a_file_are_read_as_they_are(repository):
    (in_folder,) = read(["results"]).records
    (in_file,) = read([str(Store(repository / "results").path(in_folder.job))]).records
    assert in_folder == in_file


def test_several_are_read_together_and_without_a_name_the_folder_results(repository):
    assert len(read(["HEAD~1", "results"]).records) == 2
    assert [record.result.parameters for record in read([]).records] == [2]


def test_no_record_at_all_is_told(repository):
    (repository / "empty").mkdir()
    with pytest.raises(UserError, match="no records in empty; make some with `bench run --all`"):
        read(["empty"])
    with pytest.raises(UserError, match="no records in HEAD:nowhere"):
        read(["HEAD:nowhere"])


def test_a_default_folder_that_is_not_there_is_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"no folder '.*results' to read records from"):
        read([])


def test_many_files_are_read_on_all_cores_in_the_same_order(tmp_path, monkeypatch):
    store = Store(tmp_path)
    for parameters in range(1, 6):
        store.write(cost_record(f"net_{parameters}.py:Net", parameters))
    store.path(cost_record("net_3.py:Net", 3).job).write_text("{")
    one_by_one = load([tmp_path])
    monkeypatch.setattr(load_module, "TOGETHER", 1)
    assert load([tmp_path]) == one_by_one
    assert [r.result.parameters for r in one_by_one.records] == [1, 2, 4, 5]
    assert len(one_by_one.problems) == 1


def test_what_a_process_that_died_did_not_read_is_read(tmp_path, monkeypatch):
    store = Store(tmp_path)
    for parameters in (1, 2):
        store.write(cost_record(f"net_{parameters}.py:Net", parameters))
    parent, read_record = os.getpid(), load_module.read_record

    def dies(path):
        return read_record(path) if os.getpid() == parent else os._exit(1)

    monkeypatch.setattr(load_module, "TOGETHER", 1)
    monkeypatch.setattr(load_module, "read_record", dies)
    assert [r.result.parameters for r in load([tmp_path]).records] == [1, 2]


def test_only_records_that_were_asked_for(repository):
    assert [r.job.network for r in records_at("HEAD~1", "results", "unet-").records] == ["unet"]
    assert records_at("HEAD", "nowhere").records == []


def test_commits_that_changed_records_oldest_first(repository):
    assert [c.subject for c in commits("results", "mdsa_unet-cost-")] == ["first", "second"]
    assert [c.subject for c in commits("results", "unet-dice-")] == ["first", "second"], "it vanished in the second"
    assert commits("results", "unetpp-") == []


def test_what_is_nothing_at_all_is_told(repository):
    with pytest.raises(UserError, match="'nowhere' is no folder, no file and no git revision here"):
        read(["nowhere"])
    with pytest.raises(UserError, match=r"'no\\nwhere' is no folder"):
        read(["no\nwhere"])


def test_commits_of_wrong_clocks_are_listed(repository, monkeypatch):
    monkeypatch.setenv("GIT_COMMITTER_DATE", "@300000000000 +0000")  # in the year 11476
    commit(repository, [], "late")
    assert [c.subject for c in commits("results", "mdsa_unet-cost-")] == ["first", "second", "late"]


def test_outside_a_checkout_it_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(UserError, match="run this in a checkout"):
        commits("results", "unet-")


def test_a_damaged_record_of_a_revision_is_named_by_the_revision(repository):
    path = next((repository / "results").glob("*.json"))
    path.write_text("{")
    git(repository, "commit", "--quiet", "--all", "--message", "broken")
    (problem,) = read(["HEAD"]).problems
    assert problem.startswith("HEAD:results/mdsa_unet-cost-")


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match=r"no folder .*nowhere"):
        load([tmp_path / "nowhere"])


@pytest.fixture
def twice(tmp_path):
    """Two folders that two machines filled, and one where the job failed later."""
    old = dice_record(dice=(0.1, 0.2))
    new = dice_record(dice=(0.8, 0.9)).model_copy(update={"before": old.before.model_copy(update={"at": "2026-03-01"})})
    failed = new.model_copy(update={"status": "crashed", "error": "it fell over", "result": None,
                                    "before": old.before.model_copy(update={"at": "2026-09-01"})})  # fmt: skip
    folders = [tmp_path / name for name in "abc"]
    for folder, one in zip(folders, (old, new, failed), strict=True):
        Store(folder).write(one)
    return folders, new


def test_one_job_measured_twice_is_one_measurement(twice):
    """The newest that gave something counts, and what is left out is named."""
    folders, new = twice
    loaded = load(folders)
    assert loaded.records == [new]
    assert loaded.problems == []
    assert len(loaded.replaced) == 2
    assert "measured again at 2026-03-01" in loaded.replaced[0]


def test_what_was_measured_again_is_told_however_the_folders_are_named(twice):
    folders, new = twice
    for given in ([folders[0].parent], folders):
        found = read(given)
        assert found.records == [new]
        assert len(found.replaced) == 2


def test_the_same_file_read_twice_was_not_measured_again(twice):
    (_, folder, _), _ = twice
    assert load([folder, folder]).replaced == []
    assert read([folder, folder]).replaced == []


def test_folders_of_records_are_found_by_the_names_in_them(tmp_path):
    Store(tmp_path / "reference").write(cost_record())
    (tmp_path / "doctor").mkdir()
    (tmp_path / "doctor" / "cpu-20260101T000000Z.json").write_text("{}")
    assert record_folders(tmp_path) == [tmp_path / "reference"]
    Store(tmp_path).write(cost_record())
    assert record_folders(tmp_path) == [tmp_path, tmp_path / "reference"]


def test_a_folder_that_is_removed_while_it_is_looked_into_has_no_records(tmp_path, monkeypatch):
    """As a run does beside it with the folder of its locks."""
    Store(tmp_path).write(cost_record())
    (tmp_path / "locks").mkdir(exist_ok=True)
    scan = os.scandir

    def removed(folder):
        if str(folder).endswith("locks"):
            Path(folder).rmdir()
        return scan(folder)

    monkeypatch.setattr(os, "scandir", removed)
    assert record_folders(tmp_path) == [tmp_path]


def test_of_several_folders_what_is_damaged_is_named(tmp_path):
    bad, good = Store(tmp_path / "a").write(cost_record()), Store(tmp_path / "b").write(cost_record("unetpp"))
    bad.write_text("{")
    found = read([tmp_path])
    assert [record.id for record in found.records] == [good.stem]
    assert len(found.problems) == 1
    assert str(bad) in found.problems[0]


# ---- what a revision or a folder may hold ----------------------------------------------------------------------------


@pytest.mark.parametrize("given", ["--upload-pack=touch x", "-o", "--output=x", "--help", "HEAD:../../x", "HEAD:/etc",
                                   "HEAD:--all", "@{-1}:x", "main..HEAD"])  # fmt: skip
def test_no_revision_is_an_option_or_leads_out(repository, given):
    before = sorted(path.name for path in repository.iterdir())
    with pytest.raises(UserError) as told:
        read([given])
    assert len(str(told.value).splitlines()) == 1
    for lists in (records_at, commits):
        with suppress(UserError):
            assert not getattr(lists(given, "results"), "records", None)
    assert sorted(path.name for path in repository.iterdir()) == before


def test_links_in_a_revision_are_not_followed(repository):
    outside = Store(repository.parent / "outside").write(dice_record())
    (repository / "results" / outside.name).symlink_to(outside)
    (repository / "results" / "sub").symlink_to(outside.parent)
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "--message", "links")
    assert [record.job.network for record in read(["HEAD"]).records] == ["mdsa_unet"]


def test_records_of_a_revision_in_folders_with_odd_names_are_read(repository):
    for name in ("ümlaut", 'a "b"\n*?[c]', os.fsdecode(b"\xe9"), "-rf", ":(top)x"):
        Store(repository / "results" / name).write(cost_record(name))
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "--message", "odd")
    assert len(read(["HEAD"]).records) == 6
    assert [commit.subject for commit in commits("results/-rf", "-")] == []
    assert [commit.subject for commit in commits('results/a "b"\n*?[c]', "")] == ["odd"]


def test_what_a_repository_leaves_out_of_archives_is_read(repository):
    (repository / ".gitattributes").write_text("results export-ignore\n*.json export-subst\n")
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "--message", "attributes")
    assert len(read(["HEAD"]).records) == 1


def test_a_commit_whose_subject_is_no_utf_8_is_listed(repository):
    commit(repository, [counted(parameters=3)], "x")
    git(repository, "-c", "i18n.commitEncoding=none", "commit", "--quiet", "--amend", "--file", made(repository))
    assert commits("results", "mdsa_unet-cost-")[-1].subject.isprintable()


def made(repository):
    (repository.parent / "subject").write_bytes(b"\xe9\x1b[31m odd\n")
    return str(repository.parent / "subject")


def test_hidden_files_are_no_records_and_make_no_folder_of_records(tmp_path):
    path = Store(tmp_path / "whole").write(dice_record())
    (tmp_path / "aside").mkdir()
    for name in (f".4711-{path.name}", f"._{path.name}"):
        (tmp_path / "whole" / name).write_text("half")
        (tmp_path / "aside" / name).write_text("half")
    assert record_folders(tmp_path) == [tmp_path / "whole"]
    assert load([tmp_path / "whole"]).problems == []
    assert len(read([tmp_path]).records) == 1


def test_a_folder_outside_of_the_repository_and_no_repository_are_told_with_what_to_do(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(UserError, match=r"no git revision here \(not a git repository.*\); give one of them"):
        read(["HEAD"])
    commit(tmp_path, [cost_record()], "one")
    with pytest.raises(UserError, match=r"is outside repository at .*; give a folder inside of the repository"):
        read(["HEAD:../.."])
    (tmp_path / ".git" / "config").write_text("[oops")
    with pytest.raises(UserError, match=r"no git revision here \(bad config line"):
        read(["HEAD"])
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match=r"git cannot be started: No such file"):
        read(["HEAD"])


def test_names_that_lead_out_of_a_strangers_commit_are_not_written(tmp_path, monkeypatch):
    """Git takes such a tree from whom it fetches, and tells of it as of any other."""
    name = commit(tmp_path, [cost_record()], "one")
    tree = bytes.fromhex(git(tmp_path, "rev-parse", f"{name}:results"))
    for folder in (*[b".."] * 12, tmp_path.name.encode(), b"results"):
        content = b"40000 " + folder + b"\0" + tree
        (tmp_path / "tree").write_bytes(content)
        tree = bytes.fromhex(git(tmp_path, "hash-object", "-t", "tree", "--literally", "-w", "tree"))
    hostile = git(tmp_path, "commit-tree", tree.hex(), "-m", "two")
    monkeypatch.chdir(tmp_path)
    assert ".." in git(tmp_path, "ls-tree", "-r", hostile)
    assert records_at(hostile, "results").records == []
    assert records_at(name, "results").records == [cost_record()]


def test_signatures_that_git_is_told_to_show_are_no_commits(tmp_path, monkeypatch):
    commit(tmp_path, [cost_record()], "one")
    facts, _, said = git(tmp_path, "cat-file", "commit", "HEAD").partition("\n\n")
    (tmp_path / "signed").write_text(f"{facts}\ngpgsig -----BEGIN PGP SIGNATURE-----\n -----END\n\n{said}\n")
    git(tmp_path, "reset", "--soft", git(tmp_path, "hash-object", "-t", "commit", "-w", "signed"))
    git(tmp_path, "config", "log.showSignature", "true")
    (tmp_path / "gpg").write_text("#!/bin/sh\necho 'gpg: no signature found' >&2\n")
    (tmp_path / "gpg").chmod(0o755)
    git(tmp_path, "config", "gpg.program", str(tmp_path / "gpg"))
    monkeypatch.chdir(tmp_path)
    assert [found.subject for found in commits("results", "")] == ["one"]
