"""A model of claims, leases and fences, small enough to be tried out completely.

Every verb is one step; a reply may be lost after any of them, a worker may die or fall silent
before any of them. `Rules` says how the protocol works; a twin with one rule broken must be
caught. The ghosts (`owner`, `asked`) know the truth that the protocol only sees through ids.
"""

from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple


@dataclass(frozen=True)
class Rules:
    """How the protocol works; the defaults are ours."""

    fence: str = "claim"  # or "state", "worker", "attempt"
    reuse_ids: bool = False
    rescue_deletes_first: bool = False
    rescue_deletes_skipped: bool = False
    close_unguarded: bool = False
    extend_creates: bool = False
    taking_shrinks: bool = True
    request_on_job: bool = True
    run_key: str = "claim"  # or "attempt"


class Job(NamedTuple):
    """A job row, and the ghosts of who holds it and whether it was asked to stop."""

    state: str = "ready"
    claim: int = 0
    worker: int = -1
    attempt: int = 0
    requested: bool = False
    owner: int = 0
    asked: bool = False


class Claim(NamedTuple):
    """A claim row."""

    id: int
    worker: int
    expired: bool
    jobs: frozenset
    requests: frozenset = frozenset()


class Hold(NamedTuple):
    """What a worker believes to hold; `serial` is the ghost that no id can replace."""

    worker: int
    job: int
    claim: int
    attempt: int
    serial: int


class World(NamedTuple):
    """Everything."""

    jobs: tuple
    claims: frozenset = frozenset()
    holds: frozenset = frozenset()
    runs: frozenset = frozenset()
    ended: frozenset = frozenset()
    serial: int = 0


class Violation(Exception):
    """The protocol did what it must never do."""


class Model:
    """The steps that lead from one world to the next."""

    def __init__(self, rules, *, jobs, workers, claims, operators=True):
        self.rules, self.workers, self.most_claims = rules, range(workers), claims
        self.operators = operators
        self.start = World(tuple(Job() for _ in range(jobs)))

    def explore(self, limit=10**6):
        """Visit every reachable world; return how many there are. Raises Violation."""
        seen, front = {self.start}, [self.start]
        while front and len(seen) < limit:
            following = []
            for world in front:
                for step in self.steps(world):
                    if step not in seen:
                        seen.add(step)
                        following.append(step)
            front = following
        return len(seen)

    def steps(self, world):
        """Yield every world that one step leads to."""
        for worker in self.workers:
            yield from self.claim(world, worker)
            yield from self.extend(world, worker)
            yield dead(world, worker)
        for hold in world.holds:
            yield from self.finish(world, hold)
            yield from self.close(world, hold)
        for claim in world.claims:
            yield with_claim(world, claim, claim._replace(expired=True))
            if claim.expired:
                yield from self.rescue(world, claim)
                yield from self.sweep(world, claim)
        if self.operators:
            for number in range(len(world.jobs)):
                yield from self.operate(world, number)

    def claim(self, world, worker):
        ready = [number for number, job in enumerate(world.jobs) if job.state == "ready"]
        if not ready or world.serial >= self.most_claims:
            return
        if worker > world.serial:  # workers are alike: the first to claim is the first
            return
        serial = world.serial + 1
        claim_id = max((claim.id for claim in world.claims), default=0) + 1
        claim_id = claim_id if self.rules.reuse_ids else serial
        for number in ready:
            if world.jobs[number].asked:
                raise Violation("a job that was asked to stop starts again")
        holds = set()
        for number in ready:
            job = world.jobs[number]
            world = with_job(
                world,
                number,
                state="running",
                claim=claim_id,
                worker=worker,
                attempt=job.attempt + 1,
                owner=serial,
            )
            holds.add(Hold(worker, number, claim_id, job.attempt + 1, serial))
        row = Claim(claim_id, worker, False, frozenset(ready))
        world = world._replace(claims=world.claims | {row}, serial=serial)
        yield world  # the reply is lost
        yield world._replace(holds=world.holds | holds)

    def extend(self, world, worker):
        mine = {hold.claim for hold in world.holds if hold.worker == worker}
        rows = {claim.id: claim for claim in world.claims}
        for claim_id in mine:
            held = {h for h in world.holds if (h.worker, h.claim) == (worker, claim_id)}
            row = rows.get(claim_id)
            if row is None and self.rules.extend_creates:
                row = Claim(claim_id, worker, False, frozenset(h.job for h in held))
                world = world._replace(claims=world.claims | {row})
            kept = {h for h in held if row is not None and h.job in row.jobs}
            for hold in kept:
                job = world.jobs[hold.job]
                if job.owner != hold.serial and hold not in world.ended:
                    raise Violation("a lost job is not told")
            lost = held - kept
            told = world._replace(holds=world.holds - lost, ended=world.ended - lost)
            yield with_claim(told, row, row._replace(expired=False)) if row else told

    def fenced(self, job, hold):
        """Say whether the fence refuses a write of `hold`."""
        fits = {
            "claim": job.claim == hold.claim and job.state == "running",
            "state": job.state == "running",
            "worker": job.state == "running" and job.worker == hold.worker,
            "attempt": job.state == "running" and job.attempt == hold.attempt,
        }
        return not fits[self.rules.fence]

    def finish(self, world, hold):
        job = world.jobs[hold.job]
        dropped = world._replace(holds=world.holds - {hold}, ended=world.ended - {hold})
        if self.fenced(job, hold):
            yield dropped
            return
        if job.owner != hold.serial:
            raise Violation("a stale write is accepted")
        for final in (True, False):
            ended = self.recorded(world, hold.job, hold.claim)
            state = "done" if final or self.is_asked(world, hold.job) else "ready"
            attempt = job.attempt if final else job.attempt - 1
            ended = self.ended(ended, hold.job, state, attempt)
            # When the reply is lost the worker holds on, finishes again, and hears of it then.
            yield ended._replace(ended=ended.ended | {hold})
            yield ended._replace(holds=ended.holds - {hold})

    def is_asked(self, world, number):
        """Say whether the protocol, at this place, sees a request to stop."""
        job = world.jobs[number]
        if self.rules.request_on_job:
            return job.requested
        return False  # the row with the request is read from an older snapshot

    def recorded(self, world, number, claim_id):
        """Return the world with one run more."""
        job = world.jobs[number]
        key = (number, claim_id if self.rules.run_key == "claim" else -job.attempt)
        if key in world.runs:
            raise Violation("a run is recorded twice")
        return world._replace(runs=world.runs | {key})

    def ended(self, world, number, state, attempt):
        """Return the world in which the job has left its claim."""
        job = world.jobs[number]
        asked = job.asked and state != "done"
        return with_job(
            world,
            number,
            state=state,
            claim=0,
            worker=-1,
            attempt=attempt,
            owner=0,
            asked=asked,
            requested=job.requested and state != "done",
        )

    def close(self, world, hold):
        claim = next((claim for claim in world.claims if claim.id == hold.claim), None)
        if claim is not None and (self.rules.close_unguarded or not holds_any(world, claim)):
            yield self.without(world, claim)

    def sweep(self, world, claim):
        if not holds_any(world, claim):
            yield self.without(world, claim)

    def without(self, world, claim):
        """Return the world without a claim row."""
        world = world._replace(claims=world.claims - {claim})
        ids = {row.id: row.jobs for row in world.claims}
        for number, job in enumerate(world.jobs):
            if job.state == "running" and number not in ids.get(job.claim, ()):
                raise Violation("an orphan: nobody will ever rescue it")
        return world

    def rescue(self, world, claim):
        under = [n for n in sorted(claim.jobs) if world.jobs[n].claim == claim.id]
        if self.rules.rescue_deletes_first:
            yield self.without(world, claim)
        for size in range(len(under) + 1):
            for taken in combinations(under, size):
                yield self.taken(world, claim, taken)

    def taken(self, world, claim, taken):
        """Return the world after the rescue of some jobs; the others were locked."""
        for number in taken:
            world = self.recorded(world, number, claim.id)
            state = "done" if self.is_asked(world, number) else "ready"
            world = self.ended(world, number, state, world.jobs[number].attempt - 1)
        if self.rules.rescue_deletes_skipped:
            return self.without(world, claim)
        return self.shrunk(world, claim, taken)

    def shrunk(self, world, claim, taken):
        """Return the world in which the claim no longer lists the taken jobs."""
        if not self.rules.taking_shrinks:
            return world
        return with_claim(world, claim, claim._replace(jobs=claim.jobs - set(taken)))

    def operate(self, world, number):
        job = world.jobs[number]
        if job.state == "done":
            yield with_job(world, number, state="ready", attempt=0, requested=False, asked=False)
        if job.state != "running":
            return
        yield with_job(world, number, requested=True, asked=True)
        claim = next(claim for claim in world.claims if claim.id == job.claim)
        forced = self.recorded(world, number, job.claim)
        forced = self.ended(forced, number, "done", job.attempt)
        yield self.shrunk(forced, claim, [number])


def dead(world, worker):
    """Return the world in which a worker has forgotten everything."""
    left = frozenset(hold for hold in world.holds if hold.worker != worker)
    return world._replace(holds=left, ended=world.ended & left)


def with_job(world, number, **changes):
    """Return the world with one job changed."""
    jobs = list(world.jobs)
    jobs[number] = jobs[number]._replace(**changes)
    return world._replace(jobs=tuple(jobs))


def with_claim(world, before, after):
    """Return the world with one claim row changed."""
    return world._replace(claims=world.claims - {before} | {after})


def holds_any(world, claim):
    """Say whether a job still runs under the claim: the guard of every delete."""
    return any(world.jobs[number].claim == claim.id for number in claim.jobs)
