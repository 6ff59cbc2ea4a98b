"""Which code of a network a record is of, in both formats of records."""

from bench.errors import UserError
from bench.networks import find_network
from bench.run.store import FORMAT, Record


def digest_of(record: Record) -> str:
    """The digest of the network's code as records of the present format hold it.

    One of the first format has it only if it is of the code as it is now; else it keeps its own.
    """
    digest = record.job.network_digest
    if record.schema_version == FORMAT or not digest:
        return digest
    try:
        network = find_network(record.job.network)
    except UserError:  # its file no longer exists
        return digest
    return network.digest if digest == network.legacy_digest(record.job.spec.quantity) else digest


def is_of_present_code(record: Record) -> bool:
    """Whether a record is of its network's code as it is now, with the libraries that this imports as they are now.

    Records of the first format do not say with which libraries they were made.
    """
    if getattr(record.job.spec, "predicted", ""):  # elsewhere, whatever the code here
        return True
    try:
        network = find_network(record.job.network)
    except UserError:  # the job is about the machine, or the network's file no longer exists
        return False
    made_with = record.job.libraries
    alike = record.schema_version != FORMAT or all(
        made_with.get(name) == version for name, version in network.libraries.items()
    )
    return alike and digest_of(record) == network.digest
