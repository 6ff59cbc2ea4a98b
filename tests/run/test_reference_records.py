"""The committed reference is of committed code: nobody can make a record of a tree with uncommitted changes again."""

from pathlib import Path

from bench.run.store import Record, read_record

REFERENCE = Path(__file__).parents[2] / "results" / "reference"


def test_every_reference_record_is_of_a_commit_without_changes():
    records = {path.name: read_record(path) for path in sorted(REFERENCE.glob("*.json"))}
    assert len(records) > 200
    assert [name for name, record in records.items() if not _is_of_a_commit(record)] == []


def _is_of_a_commit(record: Record) -> bool:
    return record.machine.commit.isalnum()  # a `+` is appended if files differ from the commit
