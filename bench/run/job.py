"""A job: one network, one quantity and one set of conditions. They determine the result."""

import hashlib
import json
import re
from typing import Any

from bench.networks import find_network
from bench.quantities import Frozen, Spec

SCORING = {"protocol", "test_images", "scoring", "tolerance", "fold", "pseudonyms"}  # which do not change a training
LONGEST = 60  # characters of a network's name in a file name


class Job(Frozen):
    """A measurement to make.

    `network_digest` is the digest of the network's code, so edited code gives a different job.
    """

    network: str
    network_digest: str
    spec: Spec

    @classmethod
    def of(cls, network: str, spec: Any) -> "Job":
        """Create the job that measures a network, with its present code, under some conditions."""
        return cls(network=network, network_digest=find_network(network).digest, spec=spec)

    @property
    def key(self) -> str:
        """A readable name followed by a hash of the whole job: "unet-latency-0f3a9c51d2e4"."""
        return f"{_for_files(self.network)}-{self.spec.quantity}-{_hash(self, leave_out=set())}"

    @property
    def training_key(self) -> str:
        """The name of the checkpoint that this job trains or loads. It depends on the training, not on the scoring."""
        if getattr(self.spec, "train", None) is None:
            raise TypeError(f"{self.network}: {self.spec.quantity} trains nothing")
        return f"{_for_files(self.network)}-{self.spec.dataset}-{_hash(self, leave_out=SCORING)}"


def _for_files(network: str) -> str:
    """A network's name for use in file names: the last characters, which distinguish paths and specs."""
    return re.sub(r"[^A-Za-z0-9_.]+", "-", network)[-LONGEST:].strip("-.")


def _hash(job: Job, leave_out: set[str]) -> str:
    """12 hexadecimal digits of the hash of a job, without the conditions `leave_out`.

    Fields with default values are left out. So a new condition whose default is the previous behavior does not change
    the keys of stored records.
    """
    facts = job.model_dump(mode="json", exclude_defaults=True, exclude={"spec": leave_out})
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:12]
