"""The coordinator of one worker process: looks for jobs, hands them to the pools, writes ends.

Owns the only connection that claims and finishes. Everything here runs in one thread, except
`Arrivals`, which the pools' threads fill. A place is free again when the end of its job is
acknowledged by the database, not before.
"""

import logging
from functools import partial
from typing import NamedTuple

from django.db import DatabaseError

from django_jobs import clock, registry
from django_jobs.announcements import tell_of_events
from django_jobs.conf import get_settings
from django_jobs.engines.base import ClaimedJob, Engine, Finish, Finished, Hold, Only, Report
from django_jobs.events import Relay
from django_jobs.masking import mask_text
from django_jobs.states import Interrupted, Raised, RunOutcome, after_run
from django_jobs.worker.arrivals import FLUSH_COUNT, Arrivals, Batch
from django_jobs.worker.buffering import Appetite, Kind
from django_jobs.worker.execution import make_context
from django_jobs.worker.failures import describe
from django_jobs.worker.holdings import Held, Holdings
from django_jobs.worker.journal import End, Event, Journal, Start
from django_jobs.worker.links import Link, Unreachable
from django_jobs.worker.options import WorkerOptions
from django_jobs.worker.pools import AsyncPool, Board, Ended, Starter, ThreadPool
from django_jobs.worker.releases import let_go
from django_jobs.worker.unknown import UnknownJobs
from django_jobs.worker.wakeups import Rhythm

logger = logging.getLogger("django_jobs")

FLUSH_SECONDS = 0.01
BUSY_PAUSE = 1.0


class Look(NamedTuple):
    """How many jobs to look for, and of what kind."""

    room: int
    kind: Kind = Kind.ANY


class Coordinator:
    """Claims, hands out, collects and finishes, until it is told to stop."""

    def __init__(
        self,
        options: WorkerOptions,
        link: Link,
        holdings: Holdings,
        board: Board,
        journal: Journal,
    ) -> None:
        self.name = options.worker_name()
        self.arrivals = Arrivals()
        self.rhythm = Rhythm(get_settings().POLL_INTERVAL)
        self._aside = Rhythm(get_settings().POLL_INTERVAL)
        self.resting = False
        self._options = options
        self._link = link
        self._holdings = holdings
        self._journal = journal
        self._board = board
        starter = Starter(holdings, self.arrivals, board)
        self._threads = ThreadPool(options.threads, starter, self.arrivals)
        self._loop = AsyncPool(options.async_slots, options.threads, starter, self.arrivals)
        self._appetite = Appetite(options.threads, options.async_slots)
        self._unknown = UnknownJobs()
        self._pending = Batch()
        self._parked: dict[Hold, Ended] = {}
        self._parked_until = 0.0
        self._tried: set[Hold] = set()
        self._refused: set[Hold] = set()
        self._in_loop = 0
        self._claimed_count = 0
        self.drained = False

    def start(self) -> None:
        """Start the pools."""
        self._threads.start()
        self._loop.start()

    def stop(self, timeout: float) -> None:
        """End the pools."""
        self._threads.stop(timeout)
        self._loop.stop(timeout)

    def turn(self) -> None:
        """Do once what is due: write ends, look for jobs, hand them out."""
        if self.arrivals.crash is not None:
            raise self.arrivals.crash
        self._log_starts()
        self._unpark()
        self._collect()
        self._share()
        look = self._look()
        if not len(self._pending) and not look.room:
            return
        asked_at = clock.monotonic()
        finishes = {hold: _finish(ended) for hold, ended in self._pending.ended.items()}
        try:
            finished, gone, claimed = self._link.ask(
                lambda engine: self._exchange(engine, list(finishes.values()), look)
            )
        except Unreachable:
            return
        except (DatabaseError, ValueError, OverflowError) as error:
            self._find_refused(finishes, error)
            return
        self._acknowledge(finishes, finished, gone)
        if look.room:
            self._accept(claimed, look, asked_at)

    def wait(self) -> None:
        """Wait until there is something to do."""
        if self._link.wait:
            self.arrivals.wake.wait(min(self._link.wait, 0.5))
        elif patience := self._patience:
            self.arrivals.wake.wait(patience)
        self.arrivals.wake.clear()
        if 0 < len(self.arrivals.ended) < FLUSH_COUNT and not self.arrivals.full.is_set():
            self.arrivals.full.wait(FLUSH_SECONDS)
        self.arrivals.full.clear()

    def breathe(self, pause: float) -> None:
        """Leave the database to others for an instant while there is a backlog."""
        if pause and self.rhythm.backlogged:
            clock.sleep(pause)

    def hand_back(self) -> int:
        """Take back what has not started, to be released with the next turn; return how many."""
        taken = [*self._threads.take_back(), *self._loop.take_back()]
        self._pending.released += [Ended(held, None, clock.monotonic()) for held in taken]
        self._claimed_count -= len(taken)
        return len(taken)

    def abandon(self, seconds: float) -> tuple[int, int]:
        """Hand back by force what still runs, and write what is left to write.

        Takes at most `seconds`. Returns how many jobs were running, and how many ends could
        not be written, be it that the database is away: those jobs run again after the lease.
        """
        self._collect()
        now = clock.monotonic()
        settled = {ended.held.hold for ended in (*self._pending.released, *self._pending.unknown)}
        settled |= self._pending.ended.keys() | self._parked.keys()
        running = [held for held in self._holdings.helds() if held.hold not in settled]
        for held in running:
            self._pending.ended[held.hold] = Ended(held, Interrupted(), now)
        while not self.idle and clock.monotonic() < now + seconds:
            self.turn()
            if not self.idle:
                self.wait()
        return len(running), len(self._holdings)

    def look_again(self) -> bool:
        """Make due jobs ready and say whether there were any (at the end of a burst)."""
        try:
            found = self._link.ask(_find_more)
        except Unreachable:
            return True
        if found:
            self.drained = False
            self.rhythm.wake()
        return found

    @property
    def idle(self) -> bool:
        """Whether nothing is in hand."""
        return not len(self._holdings)

    @property
    def exhausted(self) -> bool:
        """Whether as many jobs were taken as `--max-jobs` allows."""
        return self._options.max_jobs is not None and self._claimed_count >= self._options.max_jobs

    @property
    def _patience(self) -> float:
        wish = self._wish
        if self.resting or not wish.room:
            return 0.5
        return min(self._rhythm_of(wish.kind).wait, 0.5)

    @property
    def _solo(self) -> bool:
        """Whether a job that outlived its worker may be claimed: one at a time in a process."""
        ended = self._pending.ended
        helds = self._holdings.helds()
        return all(not held.claimed.lost_count or held.hold in ended for held in helds)

    def _share(self) -> None:
        """Let others have what would wait here behind long jobs."""
        in_threads = len(self._holdings) - self._in_loop
        if not self._pending.ended and self._appetite.is_stuck(in_threads, self._in_loop):
            self.hand_back()
            self.drained = False

    @property
    def _wish(self) -> Look:
        kind, room = self._appetite.wish(len(self._holdings) - self._in_loop, self._in_loop)
        if self._options.max_jobs is not None:
            room = min(room, self._options.max_jobs - self._claimed_count)
        if kind is Kind.ASYNC and not registry.async_names():
            room = 0
        return Look(max(room, 0), kind)

    def _look(self) -> Look:
        """Return what to look for now, which is nothing when it is not time to."""
        wish = self._wish
        # What has ended makes room for any kind with this very exchange.
        waits = wish.kind is not Kind.ANY and bool(self._pending.ended)
        if self.resting or waits or not self._rhythm_of(wish.kind).due:
            return Look(0)
        return wish

    def _rhythm_of(self, kind: Kind) -> Rhythm:
        """Return when to look for jobs of `kind`: in vain for one kind puts off no other look."""
        if kind is Kind.ANY:
            return self.rhythm
        self._aside.follow(self.rhythm)
        return self._aside

    def _exchange(
        self, engine: Engine, finishes: list[Finish], look: Look
    ) -> tuple[Finished, set[Hold], list[ClaimedJob]]:
        """Write what is pending and claim; the holds in the middle are not ours any more."""
        batch, now = self._pending, clock.now_or_none()
        if not len(batch):
            return Finished(), set(), self._claim(engine, look)
        patient = not self._tried  # nothing else must wait again for what was locked just now
        with engine.transaction():
            if batch.reports:
                engine.report(batch.reports, now)
            finished = Finished()
            if finishes:
                finished = engine.finish(finishes, self.name, now, patient=patient)
                if finished.told:
                    tell_of_events(engine.connection)
            gone = {*finished.applied, *finished.fenced}
            if batch.released:
                gone |= let_go(
                    engine, [ended.held.hold for ended in batch.released], patient=patient
                )
                engine.notify({ended.held.claimed.queue for ended in batch.released})
            gone |= self._unknown.settle(engine, self.name, batch.unknown)
            closing = self._holdings.would_empty(gone)
            if closing:
                engine.close(closing)
            return finished, gone, self._claim(engine, look) if look.room else []

    def _claim(self, engine: Engine, look: Look) -> list[ClaimedJob]:
        only = None
        if look.kind is not Kind.ANY:
            only = Only(registry.async_names(), but=look.kind is Kind.SYNC)
        return engine.claim(
            self._options.claimed_queues,
            look.room,
            self.name,
            get_settings().LEASE,
            solo=self._solo,
            only=only,
            now=clock.now_or_none(),
        )

    def _find_refused(self, finishes: dict[Hold, Finish], error: Exception) -> None:
        """Let jobs fail whose end the database refuses to store; the others must not suffer.

        Ends that are written here are written again by the next turn, which changes nothing.
        """
        hopeless = not self._pending.reports
        self._pending.reports.clear()
        for hold, finish in finishes.items():
            ended = self._pending.ended[hold]
            try:
                self._link.ask(partial(_finish_one, finish, self.name))
            except Unreachable:
                return
            except (DatabaseError, ValueError, OverflowError) as problem:
                if hold in self._refused:
                    raise
                record = describe(problem, ended.held.claimed.name, ended.held.context.secrets)
                # Not logger.exception(): a database shows the row that it refuses.
                text = "The end of job #%d cannot be stored; it fails.\n%s"
                logger.error(text, hold.job_id, record.traceback)  # noqa: TRY400
                self._pending.ended[hold] = Ended(ended.held, Raised(record), ended.ended)
                self._refused.add(hold)
                hopeless = False
        if hopeless:
            raise error

    def _acknowledge(
        self, finishes: dict[Hold, Finish], finished: Finished, written: set[Hold]
    ) -> None:
        batch, self._pending = self._pending, Batch()
        events: list[Event] = []
        gone = []
        for ended in (*batch.released, *batch.unknown, *batch.ended.values()):
            hold = ended.held.hold
            if hold not in written:
                self._parked[hold] = ended
                self._parked_until = clock.monotonic() + BUSY_PAUSE
                continue
            gone.append(ended.held)
            if hold in finishes:
                fenced = hold in finished.fenced
                events.append(_end_event(ended, finishes[hold], fenced=fenced))
        self._refused.difference_update(finishes)
        self._tried.clear()
        # What has just ended may have enqueued: only a look after it tells that nothing is left.
        self.drained = self.drained and not gone
        self._in_loop -= sum(1 for held in gone if _is_async(held.claimed))
        self._holdings.drop(written)
        self._board.forget(written)
        # What is handed back makes no appetite.
        self._appetite.ended(len(events), sum(_is_async(event.claimed) for event in events))
        self._journal.write(events)

    def _accept(self, claimed: list[ClaimedJob], look: Look, asked_at: float) -> None:
        self._rhythm_of(look.kind).found(len(claimed), look.room)
        self.drained = look.kind is Kind.ANY and not claimed and self._solo
        kinds = [_is_async(job) for job in claimed]
        in_threads = len(self._holdings) - self._in_loop
        over = self._appetite.surplus(in_threads, self._in_loop, kinds)
        self._claimed_count += len(claimed) - len(over)
        helds = [Held(job, make_context(job, self.name)) for job in claimed]
        self._holdings.add(helds, asked_at)
        self._in_loop += sum(kinds)
        self._appetite.claimed(len(helds), sum(kinds), look.kind)
        for place, held in enumerate(helds):
            if place in over:
                self._pending.released.append(Ended(held, None, clock.monotonic()))
            else:
                (self._loop if kinds[place] else self._threads).submit(held)

    def _collect(self) -> None:
        arrived = self.arrivals.ended
        for _ in range(len(arrived)):
            ended = arrived.popleft()
            if ended.outcome is None:
                (self._pending.unknown if ended.unknown else self._pending.released).append(ended)
                continue
            if ended.held.hold not in self._pending.ended:
                self._pending.ended[ended.held.hold] = ended
                progress = ended.held.context.take_progress()
                if progress is not None:
                    self._pending.reports.append(Report(ended.held.hold, *progress))

    def _unpark(self) -> None:
        """Try again to write what became of jobs whose rows somebody had locked."""
        if self._parked and clock.monotonic() >= self._parked_until:
            self.arrivals.ended.extend(self._parked.values())
            self._tried |= self._parked.keys()
            self._parked.clear()

    def _log_starts(self) -> None:
        started = self.arrivals.started
        self._journal.write([Start(started.popleft().claimed) for _ in range(len(started))])


def _finish(ended: Ended) -> Finish:
    assert ended.outcome is not None
    now = clock.monotonic()
    began = ended.held.began
    return Finish(
        ended.held.hold,
        after_run(ended.outcome),
        None if began is None else now - began,
        now - ended.ended,
        ended.held.context.log_tail,
    )


def _find_more(engine: Engine) -> bool:
    queues = engine.promote(1000, clock.now_or_none())
    if Engine.EVENTS in queues:
        Relay().run(engine)
    # An event that another thread hands out just now makes jobs ready only when that commits.
    return bool(queues)


def _finish_one(finish: Finish, worker: str, engine: Engine) -> Finished:
    return engine.finish([finish], worker, clock.now_or_none())


def _end_event(ended: Ended, finish: Finish, *, fenced: bool) -> End:
    held = ended.held
    seconds = 0.0 if held.began is None else ended.ended - held.began
    result = finish.transition.result or ""
    if result and finish.transition.outcome is RunOutcome.SUCCESSFUL:
        result = mask_text(result[:2000], held.context.secrets)[:80]
    return End(held.claimed, finish.transition, seconds, fenced, result, held.waited, ended.ended)


def _is_async(claimed: ClaimedJob) -> bool:
    definition = registry.find(claimed.name)
    return definition is not None and definition.is_async
