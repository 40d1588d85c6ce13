"""Runs a command and tells what it cost, as the kernel counts it: one line of JSON on file descriptor 3.

usage: measured.py COMMAND [ARG...]

wallSeconds   from the start of the process to its end
cpuSeconds    user and system time of the process and of all descendants it waited for (wait4(2))
peakBytes     the most that the process and its descendants had together, looked at every 20 ms: anonymous and file pages
              of each, and shared memory once (vddk-host and its worker map the same)
"""
import json
import os
import sys
import threading
import time

POLL_SECONDS = 0.02


def parent(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return int(file.read().rsplit(")", 1)[1].split()[1])
    except OSError:
        return 0


def resident(pid):
    """Bytes that are the process's own, and those it shares."""
    sizes = {"RssAnon:": 0, "RssFile:": 0, "RssShmem:": 0}
    try:
        with open(f"/proc/{pid}/status") as file:
            for line in file:
                words = line.split()
                if words and words[0] in sizes:
                    sizes[words[0]] = int(words[1]) * 1024
    except OSError:
        pass
    return sizes["RssAnon:"] + sizes["RssFile:"], sizes["RssShmem:"]


def watch(root, peak, ended):
    family, strangers = {root}, set(os.listdir("/proc"))
    while not ended.wait(POLL_SECONDS):
        for name in os.listdir("/proc"):
            if name in strangers or not name.isdigit():
                continue
            strangers.add(name)
            if parent(int(name)) in family:
                family.add(int(name))
        sizes = [resident(pid) for pid in family]
        together = sum(own for own, _ in sizes) + max(shared for _, shared in sizes)
        peak[0] = max(peak[0], together)


def main():
    started = time.monotonic()
    pid = os.spawnvp(os.P_NOWAIT, sys.argv[1], sys.argv[1:])
    peak, ended = [0], threading.Event()
    watcher = threading.Thread(target=watch, args=(pid, peak, ended))
    watcher.start()
    _, status, usage = os.wait4(pid, 0)
    wall = time.monotonic() - started
    ended.set()
    watcher.join()
    result = {"wallSeconds": wall, "cpuSeconds": usage.ru_utime + usage.ru_stime, "peakBytes": peak[0]}
    os.write(3, json.dumps(result).encode())
    sys.exit(os.waitstatus_to_exitcode(status) & 0xFF)


main()
