"""Batches reach the device early, in order, and no more of them than asked for."""

from training import toy

from jax_mdpo.training.prefetch import prefetched


def test_two_batches_are_under_way_and_the_next_is_fetched_when_one_is_used():
    pulled, closed = [], []

    def source():
        try:
            for number in range(5):
                pulled.append(number)
                yield toy.host_batch(number)
        finally:
            closed.append(True)

    feed = prefetched(source(), lambda batch: batch)
    assert pulled == []
    assert next(feed).host.ids[0] == 0 and pulled == [0, 1]
    assert next(feed).host.ids[0] == 4 and pulled == [0, 1, 2]
    feed.close()
    assert closed == [True]


def test_all_batches_come_in_order_each_beside_its_device_copy():
    fed = list(prefetched(iter([toy.host_batch(number) for number in range(4)]), lambda batch: batch._replace(valid="on device")))
    assert [item.host.ids[0] // toy.PAIRS for item in fed] == [0, 1, 2, 3]
    assert all(item.device.valid == "on device" for item in fed)


def test_no_batches_are_no_error():
    assert list(prefetched(iter(()), lambda batch: batch)) == []
