"""Which code of a network a record is of, in both formats of records, and which of several records is the current one.

A record of the code as it is now comes before one of other code, whatever the clocks say: they may have been set back.
Only among records of equal standing does the time decide.
"""

import math
import time
from datetime import UTC, datetime

from bench.networks import NETWORKS, network_on_record
from bench.networks.libraries import versions
from bench.run.store import FORMAT, Record

AHEAD_S = 86400.0  # by which clocks and time zones may differ


def digest_of(record: Record) -> str:
    """The digest of the network's code as records of the present format hold it.

    One of the first format has it only if it is of the code as it is now; else it keeps its own.
    """
    digest, network = record.job.network_digest, NETWORKS.get(record.job.network)
    if record.schema_version == FORMAT or not digest or network is None:
        return digest
    return network.digest if digest == network.legacy_digest(record.job.spec.quantity) else digest


def is_of_present_code(record: Record) -> bool:
    """Whether a record is of its network's code as it is now, with the libraries that this imports as they are now.

    Records of the first format do not say with which libraries they were made. Of code outside this repository that was
    edited since it was last measured nothing is known, and no record is of it: nothing that a record names is run.
    """
    if getattr(record.job.spec, "predicted", ""):  # elsewhere, whatever the code here
        return True
    network = network_on_record(record.job.network)
    if network is None:  # the job is about the machine, or the network's file no longer exists
        return False
    made_with = record.job.libraries
    alike = record.schema_version != FORMAT or all(
        made_with.get(name) == version for name, version in network.libraries.items()
    )
    return alike and digest_of(record) == network.digest


def moment(record: Record) -> float:
    """When the measurement began, in seconds since 1970.

    A time that cannot be read, or lies ahead of now by more than a day, is that of a wrong clock: minus infinity, so
    that every other record is newer.
    """
    try:
        at = datetime.fromisoformat(record.before.at)
        seconds = (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return -math.inf
    return seconds if seconds < time.time() + AHEAD_S else -math.inf


def standing(record: Record) -> tuple[bool, bool, float]:
    """What puts the current one of a network's records last: its code, then its libraries, then its time."""
    made_with = record.job.libraries
    return is_of_present_code(record), made_with == versions(made_with), moment(record)
