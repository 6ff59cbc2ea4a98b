"""A Job: one network, one quantity, one set of conditions. Its result depends on nothing else."""

import hashlib
import json
import re
from typing import Any

from bench.networks import find_network
from bench.quantities import Frozen, Spec

LONGEST = 60  # letters of a network in a file name


class Job(Frozen):
    """What a worker needs to know. `network_digest` is of the network's code: an edited network is another network."""

    network: str
    network_digest: str
    spec: Spec

    @classmethod
    def of(cls, network: str, spec: Any) -> "Job":
        """The job that measures a network, as its code is now, under some conditions."""
        digest = find_network(network).digest_for(spec.quantity)
        return cls(network=network, network_digest=digest, spec=spec)

    @property
    def key(self) -> str:
        """A name for people and a hash of everything: "unet-latency-0f3a9c51d2e4"."""
        return f"{_for_files(self.network)}-{self.spec.quantity}-{_hash(self, leave_out=set())}"

    @property
    def training_key(self) -> str:
        """The name of the checkpoint this job trains or loads: all that shapes the weights, nothing of the scoring."""
        if getattr(self.spec, "train", None) is None:
            raise TypeError(f"{self.network}: {self.spec.quantity} trains nothing")
        return f"{_for_files(self.network)}-{self.spec.dataset}-{_hash(self, leave_out={'protocol', 'test_images'})}"


def _for_files(network: str) -> str:
    """A network's name as part of a file's: of a path or a spec the last letters, for those tell it apart."""
    return re.sub(r"[^A-Za-z0-9_.]+", "-", network)[-LONGEST:].strip("-.")


def _hash(job: Job, leave_out: set[str]) -> str:
    """12 hexadecimal digits of the job less some conditions.

    Fields at their defaults are left out: a condition that is added later, with what was always done as its default,
    leaves the keys of stored records as they are.
    """
    facts = job.model_dump(mode="json", exclude_defaults=True, exclude={"spec": leave_out})
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:12]
