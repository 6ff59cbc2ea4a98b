import pytest
from claiming import counted, trained
from gitting import commit

from bench.errors import UserError
from bench.read.load import commits, read_side, records_at
from bench.run.store import Store


@pytest.fixture
def repository(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    commit(tmp_path, [counted(parameters=1), trained("unet", (0.5,))], "first")
    commit(tmp_path, [counted(parameters=2)], "second")
    return tmp_path


def test_a_revision_has_its_own_records_scores_included(repository):
    first = {record.job.network: record for record in read_side("HEAD~1").records}
    assert first["mdsa_unet"].result.parameters == 1
    assert len(first["unet"].result.images) == 1
    (second,) = read_side("HEAD:results").records
    assert second.result.parameters == 2


def test_a_folder_and_a_file_are_read_as_they_are(repository):
    (in_folder,) = read_side("results").records
    (in_file,) = read_side(str(Store(repository / "results").path(in_folder.job))).records
    assert in_folder == in_file


def test_only_records_that_were_asked_for(repository):
    assert [r.job.network for r in records_at("HEAD~1", "results", "unet-").records] == ["unet"]
    assert records_at("HEAD", "nowhere").records == []


def test_commits_that_changed_records_oldest_first(repository):
    assert [c.subject for c in commits("results", "mdsa_unet-cost-")] == ["first", "second"]
    assert [c.subject for c in commits("results", "unet-dice-")] == ["first", "second"], "it vanished in the second"
    assert commits("results", "unetpp-") == []


def test_what_is_nothing_at_all_is_told(repository):
    with pytest.raises(UserError, match="'nowhere' is no folder, no file and no git revision here"):
        read_side("nowhere")


def test_outside_a_checkout_it_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(UserError, match="run this in a checkout"):
        commits("results", "unet-")


def test_a_damaged_record_of_a_revision_is_named_by_the_revision(repository):
    from gitting import git

    path = next((repository / "results").glob("*.json"))
    path.write_text("{")
    git(repository, "commit", "--quiet", "--all", "--message", "broken")
    (problem,) = read_side("HEAD").problems
    assert problem.startswith("HEAD:results/mdsa_unet-cost-")
