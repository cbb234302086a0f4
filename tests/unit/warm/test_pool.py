"""Worker processes: none is handed a job it will not do, and none is kept for nothing."""

import os
import signal

import pytest

from vqmail import codes, vqhome
from vqmail.formats import job
from vqmail.unix import chain, loop
from vqmail.warm import pool, worker


def pid_plus(packet: bytes, descriptors: "list[int]") -> int:
    """A job: answers with its number; `die` dies, `pid` says who does it."""
    if packet == b"die":
        os.kill(os.getpid(), signal.SIGKILL)
    return int(packet)


class Workers:
    def __init__(self, limit: int) -> None:
        self.loop = loop.Loop()
        self.pool = pool.Pool(self.loop, limit, lambda sock: worker.serve(sock, pid_plus))
        self.answers: list[int] = []

    def do(self, *packets: bytes) -> "list[int]":
        """The pids that were given these jobs, once all are done."""
        self.answers = []
        pids = [self.pool.submit(None, each, [], self.answers.append) for each in packets]
        self.wait(len(packets))
        return pids

    def wait(self, count: int) -> None:
        while len(self.answers) < count:
            assert self.loop.turn(60), "no answer"


@pytest.fixture
def workers():
    made: list[Workers] = []

    def make(limit: int) -> Workers:
        made.append(Workers(limit))
        return made[-1]

    yield make
    for each in made:
        each.pool.trim(0, float("inf"))


def test_jobs_beyond_the_limit_wait_for_a_worker(workers):
    three = workers(2)
    pids = three.do(b"1", b"2", b"3")

    assert len(set(pids[:2])) == 2
    assert pids[2] == 0
    assert sorted(three.answers) == [1, 2, 3]


def test_a_worker_is_used_again(workers):
    one = workers(5)

    assert one.do(b"1") == one.do(b"2")


def test_a_worker_that_retires_takes_no_job_with_it(workers, monkeypatch):
    monkeypatch.setattr(worker, "JOBS", 3)
    one = workers(1)
    pids = [one.do(b"%d" % number)[0] for number in range(10)]

    assert len(set(pids)) == 4
    assert 0 not in pids
    assert one.pool.deaths == 0


def test_a_job_whose_worker_dies_is_answered_and_the_next_gets_another(workers, capfd):
    one = workers(1)
    first = one.do(b"die")

    assert one.answers == [-signal.SIGKILL]
    assert one.pool.deaths == 1
    assert one.do(b"0") != first
    assert one.answers == [codes.OK]
    assert capfd.readouterr().err == "pool: worker %d ended with -9\n" % first[0]


def test_a_worker_that_died_idle_is_not_given_a_job(workers):
    one = workers(3)
    (pid,) = one.do(b"0")
    os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)

    assert one.do(b"7") != [pid]
    assert one.answers == [7]


def test_trim_keeps_the_spare_ones_and_those_that_just_worked(workers):
    many = workers(6)
    many.do(*[b"0"] * 6)
    many.pool.trim(2, 0.0)

    assert many.pool.idle() == 6

    many.pool.trim(2, float("inf"))

    assert many.pool.idle() == 2


def give_away(packet: bytes, descriptors: "list[int]") -> chain.Next:  # noqa: ARG001
    """A job that ends as somebody else's session; 0 and 1 are what the worker cleaned them to."""
    return chain.Next([vqhome.path(b"bin/vq-test")], {b"EXT": packet}, user=(45001, 45002), home=b"/a b")


@pytest.mark.root
def test_a_session_is_handed_on_with_its_descriptors_and_its_answer_awaited(monkeypatch):
    monkeypatch.setitem(chain._resident, b"vq-test", lambda argv, env: 0)
    turns = loop.Loop()
    handed: list[tuple[object, ...]] = []
    answers: list[int] = []
    here = pool.Pool(turns, 1, lambda sock: worker.serve(sock, give_away),
                     go_on=lambda packet, descriptors, done: handed.append((packet, len(descriptors), done)))
    here.submit(None, b"x", [], answers.append)
    while not handed:
        assert turns.turn(20), "nothing was handed on"
    ((packet, number, done),) = handed

    assert (45001, 45002, b"/a b", b"1\x000,1\0" + vqhome.path(b"bin/vq-test") + b"\0EXT=x") == job.decode_session(packet)
    assert (2, [], 1) == (number, answers, here.idle())
    done(7)
    assert [7] == answers
    here.trim(0, float("inf"))


def test_go_on_says_what_cannot_be_entered(tmp_path, capfd):
    packet = job.encode_session(45001, 45001, b"%s/none" % str(tmp_path).encode(), b"1\x00\0x")

    assert codes.TEMPORARY == worker.go_on(packet, [])
    assert capfd.readouterr().err == f"worker: cannot enter {tmp_path}/none: No such file or directory\n"
