"""An HTTP load generator on plain sockets: at the limit of a server, or at a steady rate.

A request costs this process 16 us, and the fastest service 25 us.
"""

import gc
import select
import socket
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

REQUEST = (
    b"GET / HTTP/1.1\r\nHost: shop.example.com\r\nX-User: user-%d\r\n"
    b"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0\r\n"
    b"Accept-Language: nl-NL,nl;q=0.9,en;q=0.8\r\nAccept: application/json\r\n\r\n"
)
CONNECTIONS = 16


@contextmanager
def connections(port: int, count: int = CONNECTIONS) -> Iterator[list[socket.socket]]:
    """Open connections to a server on this machine."""
    opened = [socket.create_connection(("127.0.0.1", port)) for _ in range(count)]
    gc.collect()
    gc.disable()
    try:
        for one in opened:
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield opened
    finally:
        gc.enable()
        for one in opened:
            one.close()


def answer(browser: socket.socket) -> bytes:
    """Read a response, whose body is a JSON object."""
    data = b""
    while not data.endswith(b"}"):
        part = browser.recv(65536)
        assert part, "the server hung up"
        data += part
    assert data.startswith(b"HTTP/1.1 200"), data
    return data


def ask(port: int, numbers: range) -> list[bytes]:
    """Send one request per user, one after another; return the bodies of the responses."""
    bodies = []
    with connections(port) as (browser, *_):
        for number in numbers:
            browser.sendall(REQUEST % number)
            bodies.append(answer(browser).partition(b"\r\n\r\n")[2])
    return bodies


def ask_together(browsers: list[socket.socket], numbers: range) -> None:
    """Send one request per user, as many at a time as there are connections."""
    for first in range(0, len(numbers), len(browsers)):
        asked = list(zip(browsers, numbers[first : first + len(browsers)], strict=False))
        for browser, number in asked:
            browser.sendall(REQUEST % number)
        for browser, _ in asked:
            answer(browser)


def saturate(port: int, seconds: float, first: int) -> tuple[int, float]:
    """Send a new request on each connection as soon as it has its response, for users numbered from `first`.

    Returns:
        The number of responses, and the seconds that they took.
    """
    number = first
    with connections(port) as browsers:
        by_number = {browser.fileno(): browser for browser in browsers}
        poll = select.poll()
        for browser in browsers:
            poll.register(browser, select.POLLIN)
            browser.sendall(REQUEST % number)
            number += 1
        began = time.perf_counter()
        while time.perf_counter() < began + seconds:
            for ready, _ in poll.poll():
                answer(by_number[ready])
                by_number[ready].send(REQUEST % number)
                number += 1
        for browser in browsers:
            answer(browser)
        return number - first, time.perf_counter() - began


def burst(port: int, count: int, first: int) -> None:
    """Send `count` requests, each as soon as its connection is free, for users numbered from `first`."""
    number, last, done = first, first + count, 0
    with connections(port) as browsers:
        by_number = {browser.fileno(): browser for browser in browsers}
        poll = select.poll()
        for browser in browsers:
            poll.register(browser, select.POLLIN)
            browser.sendall(REQUEST % number)
            number += 1
        while done < count:
            for ready, _ in poll.poll():
                answer(by_number[ready])
                done += 1
                if number < last:
                    by_number[ready].send(REQUEST % number)
                    number += 1


def keep_rate(port: int, seconds: float, rate: float, first: int) -> list[float]:
    """Send requests at a steady rate; return the latency of each, in microseconds from the time when it was due."""
    latencies: list[float] = []
    with connections(port) as browsers:
        free, began_at = deque(browsers), dict[socket.socket, float]()
        due, number, last = time.perf_counter(), first, first + round(rate * seconds)
        while began_at or number < last:
            while number < last and free and due <= time.perf_counter():
                browser = free.popleft()
                browser.send(REQUEST % number)
                began_at[browser] = due
                due, number = due + 1 / rate, number + 1
            wait = max(0.0, due - time.perf_counter()) if free and number < last else None
            for browser in select.select(list(began_at), (), (), wait)[0]:
                answer(browser)
                latencies.append((time.perf_counter() - began_at.pop(browser)) * 1e6)
                free.append(browser)
    return latencies
