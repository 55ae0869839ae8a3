#!/usr/bin/env python3
"""How long searches take while an answer is generated.

    wellread serve --addr 127.0.0.1:7878 &
    python3 benches/serve.py 127.0.0.1:7878 "A question" ["another"]…  [--searches 200] [--clients 1]

Searches are sent over kept connections, once while nothing else is asked and once while answers are
written one after the other; printed are percentiles of both in milliseconds. Each client lets
`--pause` milliseconds pass between two of them; 0 is a flood.
"""

import argparse
import http.client
import json
import threading
import time
import urllib.parse


def percentile(times, share):
    times = sorted(times)
    return times[min(len(times) - 1, int(share * len(times)))]


def search(address, queries, count, pause=0.0):
    """Times of `count` searches."""
    connection = http.client.HTTPConnection(address)
    times = []
    for n in range(count):
        path = "/api/search?" + urllib.parse.urlencode({"q": queries[n % len(queries)], "limit": 10})
        start = time.perf_counter()
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read()
        times.append((time.perf_counter() - start) * 1000)
        assert answer.status == 200, body
        time.sleep(pause)
    return times


def side_by_side(address, queries, count, clients, pause):
    found = [[] for _ in range(clients)]

    def one(at):
        found[at] = search(address, queries, count // clients, pause)

    threads = [threading.Thread(target=one, args=(at,)) for at in range(clients)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    return [took for times in found for took in times]


def ask(address, questions, stop, asked):
    """Asks one question after the other until `stop`."""
    while not stop.is_set():
        for question in questions:
            if stop.is_set():
                return
            connection = http.client.HTTPConnection(address)
            body = json.dumps({"question": question})
            connection.request("POST", "/api/ask", body, {"Accept": "text/event-stream"})
            answer = connection.getresponse()
            assert answer.status == 200, answer.read()
            asked.append(question)
            while line := answer.readline():
                if stop.is_set() or line.startswith(b"event: done"):
                    break
            connection.close()


def report(name, times):
    figures = ", ".join(f"p{int(share * 100)} {percentile(times, share):.1f}" for share in (0.5, 0.95, 0.99))
    print(f"{name}: {len(times)} searches, {figures} ms")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("address")
    parser.add_argument("questions", nargs="+")
    parser.add_argument("--searches", type=int, default=200)
    parser.add_argument("--clients", type=int, default=1)
    parser.add_argument("--pause", type=float, default=100, metavar="MILLISECONDS")
    args = parser.parse_args()
    # Each is asked once before, for what is computed once and kept.
    search(args.address, args.questions, len(args.questions))
    pause = args.pause / 1000
    alone = side_by_side(args.address, args.questions, args.searches, args.clients, pause)
    report("alone", alone)
    stop, asked = threading.Event(), []
    asking = threading.Thread(target=ask, args=(args.address, args.questions, stop, asked))
    asking.start()
    while not asked:
        time.sleep(0.05)
    time.sleep(1)
    busy = side_by_side(args.address, args.questions, args.searches, args.clients, pause)
    stop.set()
    asking.join()
    report(f"while {len(asked)} answers are written", busy)


if __name__ == "__main__":
    main()
