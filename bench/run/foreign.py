"""What a plan would score that weights have seen before: images of one data set that another one trains on."""

from collections.abc import Callable, Iterator
from functools import partial

from bench.data import DataSet
from bench.run.plan import Plan

Done = Callable[[str, int, int], object]  # called with what is read, and how many of how many images were


def seen_before(planned: Plan, done: Done = lambda name, count, total: None) -> list[str]:
    """Sentences on test images that are among those which the networks to be tested on them are trained on.

    The images are read once and then remembered. Raises UserError naming a file that cannot be decoded.
    """
    told: list[str] = []
    for trained, tested in _pairs(planned):
        from bench.data.seen import seen_by  # with libraries for pictures, which few plans need

        found = seen_by(trained, tested, partial(done, f"{trained.name} and {tested.name}"))
        told += found.told(trained.name, tested.name)
    return list(dict.fromkeys(told))


def _pairs(planned: Plan) -> Iterator[tuple[DataSet, DataSet]]:
    """Each data set that is trained on, with each other one on which its weights are tested."""
    by_digest = {(one.data.name, one.data.digest): one.data for one in planned.opened}
    specs = (job.spec for job in planned.jobs if getattr(job.spec, "trained_on", ""))
    pairs = ((spec.trained_on, spec.trained_data, spec.dataset, spec.data) for spec in specs)
    for *home, name, digest in dict.fromkeys(pairs):
        yield by_digest[home[0], home[1]], by_digest[name, digest]
