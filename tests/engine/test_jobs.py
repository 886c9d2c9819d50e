from spa_lsp.completion import CompletionRequest
from spa_lsp.engine.jobs import MAX_WAITING, EngineJob, JobQueue

ME, OTHER = object(), object()


def job(job_id, document="d", owner=ME):
    return EngineJob(owner=owner, id=job_id, request=CompletionRequest(prefix="", document=document))


def queue_of(*jobs):
    queue = JobQueue()
    for each in jobs:
        queue.add(each)
        queue.start_next()
    return queue


def test_one_job_runs_and_the_others_wait_in_order():
    first, second, third = job(1, "a"), job(2, "b"), job(3, "c")
    queue = queue_of(first, second, third)
    assert queue.running is first and list(queue.waiting) == [second, third]


def test_the_next_job_starts_when_the_running_one_has_finished():
    queue = queue_of(job(1, "a"), job(2, "b"))
    assert queue.start_next() is None
    queue.finish()
    assert queue.start_next().id == 2


def test_a_newer_request_cancels_the_running_one_of_the_same_document():
    old = job(1)
    queue_of(old, job(2))
    assert old.cancelled.is_set()


def test_a_newer_request_replaces_the_waiting_one_of_the_same_document():
    waiting = job(2)
    queue = queue_of(job(1), waiting)
    newest = job(3)
    assert queue.add(newest) == [waiting]
    assert list(queue.waiting) == [newest]


def test_other_documents_and_other_clients_are_left_alone():
    running, waiting = job(1, "a", OTHER), job(2, "b")
    queue = queue_of(running, waiting)
    assert queue.add(job(3, "a")) == []
    assert not running.cancelled.is_set() and waiting in queue.waiting


def test_requests_without_a_document_are_never_replaced():
    running, waiting = job(1, ""), job(2, "")
    queue = queue_of(running, waiting)
    assert queue.add(job(3, "")) == []
    assert not running.cancelled.is_set()


def test_cancelling_a_waiting_job_takes_it_out():
    waiting = job(2, "b")
    queue = queue_of(job(1, "a"), waiting)
    assert queue.cancel(ME, 2) == [waiting] and not queue.waiting


def test_cancelling_the_running_job_tells_it_to_end():
    running = job(1)
    queue = queue_of(running)
    assert queue.cancel(ME, 1) == []
    assert running.cancelled.is_set()


def test_a_client_cannot_cancel_what_another_one_asked():
    running = job(1, owner=OTHER)
    queue_of(running).cancel(ME, 1)
    assert not running.cancelled.is_set()


def test_all_jobs_of_a_client_that_is_gone_end():
    running, waiting, foreign = job(1, "a"), job(2, "b"), job(3, "c", OTHER)
    queue = queue_of(running, waiting, foreign)
    queue.cancel_all_of(ME)
    assert running.cancelled.is_set() and list(queue.waiting) == [foreign]


def run_all(queue):
    order = []
    while queue.running or queue.start_next():
        order.append(queue.running.id)
        queue.finish()
    return order


def test_clients_take_turns():
    queue = queue_of(*(job(f"a{n}", str(n)) for n in range(4)), job("b0", "0", OTHER), job("b1", "1", OTHER))
    assert run_all(queue) == ["a0", "b0", "a1", "b1", "a2", "a3"]


def test_a_client_that_asks_for_too_much_is_stopped_and_no_other():
    queue = queue_of(*(job(n, str(n)) for n in range(MAX_WAITING + 1)))
    assert queue.is_full_for(ME) and not queue.is_full_for(OTHER)


def test_a_client_that_is_gone_is_forgotten():
    queue = queue_of(job(1))
    queue.finish()
    queue.cancel_all_of(ME)
    assert queue._turns == {}
