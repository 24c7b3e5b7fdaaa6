"""Joining requests, with functions in place of a model."""

import asyncio
import threading

import numpy as np
import pytest

from kerascnn._errors import InputError
from kerascnn.serving.server import batching_parameters
from kerascnn.serving.server.batching import Batcher
from kerascnn.serving.server.batching_parameters import BatchingParameters
from kerascnn.serving.server.joining import compute, rows
from kerascnn.serving.server.status import Refusal


def halves(arrays):
    if np.isnan(arrays["x"]).any():
        raise Refusal("INVALID_ARGUMENT", "not a number")
    return {"y": arrays["x"] / 2}


def x(*values):
    return {"x": np.float32(values)}


def test_a_batch_is_joined_and_split():
    seen = []

    def run(arrays):
        seen.append(arrays["x"].tolist())
        return halves(arrays)

    got = compute(run, [x(1), x(2, 3), x(4)], lambda size: 6)
    assert seen == [[1, 2, 3, 4, 1, 1]]  # filled up with the first row
    assert [answer["y"].tolist() for answer in got] == [[0.5], [1, 1.5], [2]]


def test_one_bad_member_fails_alone():
    first, bad, last = compute(halves, [x(1), x(np.nan), x(3, 4)], lambda size: size)
    assert first["y"].tolist() == [0.5] and last["y"].tolist() == [1.5, 2]
    assert isinstance(bad, Refusal)


def test_outputs_that_cannot_be_split_are_computed_one_by_one():
    calls = []

    def run(arrays):
        calls.append(len(arrays["x"]))
        return {"sum": arrays["x"].sum(keepdims=True)}

    got = compute(run, [x(1, 2), x(3, 4)], lambda size: size)
    assert [answer["sum"].tolist() for answer in got] == [[3], [7]] and calls == [4, 2, 2]


def test_rows():
    assert rows({"a": np.zeros((3, 2)), "b": np.zeros(3)}) == 3
    assert rows({"a": np.zeros(3), "b": np.zeros(2)}) is rows({"a": np.zeros(())}) is rows(x()) is rows({}) is None


class Slow:
    """Computes when told to; keeps the batches it was given."""

    def __init__(self):
        self.go, self.batches = threading.Event(), []

    def __call__(self, arrays):
        self.batches.append(len(arrays["x"]))
        assert self.go.wait(20)
        return halves(arrays)


async def until(condition):
    """Returns once it is so; whatever runs in threads may take its time."""

    async def met():
        while not condition():
            await asyncio.sleep(0.001)

    await asyncio.wait_for(met(), 60)


async def turn():
    """Lets the tasks that were made run as far as they come without waiting."""
    for _ in range(10):
        await asyncio.sleep(0)


def submit(batcher, run, *values, key="k", released=None):
    released = [] if released is None else released
    return asyncio.ensure_future(batcher.submit(key, run, x(*values), lambda: released.append(values)))


def test_requests_of_one_kind_are_joined_while_they_wait():
    async def main():
        batcher, run, released = Batcher(BatchingParameters(4, 1000, 1, 2)), Slow(), []
        tasks = [submit(batcher, run, value, released=released) for value in range(6)]
        await until(lambda: run.batches == [4] and batcher.waiting == 1)
        run.go.set()
        got = await asyncio.gather(*tasks)
        assert [answer["y"].tolist() for answer in got] == [[value / 2] for value in range(6)]
        assert run.batches == [4, 2] and sorted(released) == [(value,) for value in range(6)]
        batcher.close()

    asyncio.run(main())


def test_a_batch_that_the_next_request_does_not_fit_in_waits_no_longer():
    async def main():
        batcher = Batcher(BatchingParameters(4, 20_000_000, 1, 2))
        first = submit(batcher, halves, 1, 2, 3)
        await turn()
        assert not first.done()
        second = submit(batcher, halves, 4, 5)
        assert (await asyncio.wait_for(first, 15))["y"].tolist() == [0.5, 1, 1.5]
        assert not second.done()
        third = submit(batcher, halves, 6, 7)  # fills it
        got = await asyncio.wait_for(asyncio.gather(second, third), 15)
        assert [answer["y"].tolist() for answer in got] == [[2, 2.5], [3, 3.5]]
        batcher.close()

    asyncio.run(main())


def test_kinds_are_not_mixed_and_take_turns():
    async def main():
        batcher, run = Batcher(BatchingParameters(2, 0, 1, 9)), Slow()
        order = []

        def named(name):
            return lambda arrays: order.append(name) or halves(arrays)

        first = submit(batcher, run, 0, key="first")
        await until(lambda: run.batches)
        tasks = [submit(batcher, named(key), 1, 2, key=key) for key in "aaabbb"]
        await until(lambda: batcher.waiting == 6)
        run.go.set()
        await asyncio.gather(first, *tasks)
        assert order == list("ababab")
        batcher.close()

    asyncio.run(main())


def test_overload_is_refused_at_once_and_what_waits_is_answered():
    async def main():
        batcher, run = Batcher(BatchingParameters(2, 0, 1, 3)), Slow()
        first = submit(batcher, run, 0)
        await until(lambda: run.batches)
        waiting = [submit(batcher, run, value) for value in range(6)]
        await until(lambda: batcher.waiting == 3)
        with pytest.raises(Refusal, match="queue to which this task was submitted is full") as caught:
            await submit(batcher, run, 9)  # while nothing is computed
        assert caught.value.http == 429
        with pytest.raises(Refusal, match="Task size 3 is larger than maximum batch size 2") as caught:
            await submit(batcher, run, 1, 2, 3)
        assert caught.value.http == 400
        run.go.set()
        got = await asyncio.gather(first, *waiting)
        assert [float(answer["y"][0]) for answer in got] == [0, *(value / 2 for value in range(6))]
        batcher.close()

    asyncio.run(main())


def test_who_has_gone_is_not_computed():
    async def main():
        batcher, run, released = Batcher(BatchingParameters(2, 0, 1, 9)), Slow(), []
        first = submit(batcher, run, 0, released=released)
        await until(lambda: run.batches)
        gone, stays = submit(batcher, run, 1, released=released), submit(batcher, run, 2, released=released)
        also = [submit(batcher, run, 3, released=released), submit(batcher, run, 4, released=released)]
        await until(lambda: batcher.waiting == 2)
        for task in (first, gone, *also):
            task.cancel()
        await turn()
        assert released == []  # the first is being computed still
        run.go.set()
        assert (await stays)["y"].tolist() == [1]
        await until(lambda: sorted(released) == [(0,), (1,), (2,), (3,), (4,)])
        assert run.batches == [1, 1]
        batcher.close()

    asyncio.run(main())


def test_a_file_of_tensorflow_serving(tmp_path):
    path = tmp_path / "batching.txt"
    path.write_text(
        "# from docs\nmax_batch_size { value: 16 }\nbatch_timeout_micros: { value: 500 }\n"
        "num_batch_threads { value: 3 }\nmax_enqueued_batches { value: 7 } "
        'thread_pool_name { value: "x" }\n'
        "allowed_batch_sizes: 4\nallowed_batch_sizes : 16\n"
    )
    parameters = batching_parameters.read(path)
    assert parameters == BatchingParameters(16, 500, 3, 7, (4, 16))
    assert [parameters.padded(size) for size in (1, 4, 5, 16)] == [4, 4, 16, 16]
    for text, message in (
        ("max_batch_size { value: none }", r"must be NAME \{ value: N \}.* Received: max_batch_size \{ value: none"),
        ("most { value: 3 }", "Received: most"),
        ("max_batch_size { value: 0 }", "max_batch_size must be a whole number from 1"),
        ("allowed_batch_sizes: 4", "allowed_batch_sizes must be ascending.*max_batch_size=8"),
    ):
        path.write_text(text)
        with pytest.raises(InputError, match=message):
            batching_parameters.read(path)
    with pytest.raises(InputError, match="cannot be read .No such file"):
        batching_parameters.read(tmp_path / "none")
