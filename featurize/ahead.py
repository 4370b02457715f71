"""Work in threads, some of it ahead of whoever takes the results, in order."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def work_ahead(
    pool: ThreadPoolExecutor, items: Iterable[Item], work: Callable[[Item], Result], n_ahead: int
) -> Iterator[tuple[Item, Result]]:
    """Each item with what `work` makes of it, in order, at most `n_ahead` of them begun before they are taken.

    Examples
    --------
    >>> with ThreadPoolExecutor(2) as pool:
    ...     list(work_ahead(pool, "abc", str.upper, n_ahead=2))
    [('a', 'A'), ('b', 'B'), ('c', 'C')]
    """
    begun: deque[tuple[Item, Future[Result]]] = deque()
    try:
        for item in items:
            begun.append((item, pool.submit(work, item)))
            if len(begun) >= n_ahead:
                first, future = begun.popleft()
                yield first, future.result()
        while begun:
            first, future = begun.popleft()
            yield first, future.result()
    finally:
        for _, future in begun:
            future.cancel()
