"""Runs a command and tells what it cost, as the kernel counts it: one line of JSON on file descriptor 3.

usage: measured.py [--from-ready] COMMAND [ARG...]

--from-ready  the process writes "ready" once it has started and then waits for a line: what it costs counts from there

wallSeconds   from the start of the process to its end, or from that line to the one that it answers
cpuSeconds    user and system time of the process and of all descendants it waited for (wait4(2)), likewise
startSeconds  what passed before that line
peakBytes     the most that the process and its descendants had together, looked at every 20 ms: anonymous and file pages
              of each, and shared memory once (vddk-host and its worker map the same)
"""
import json
import os
import subprocess
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


def cpu_seconds(pid):
    """Of a process that runs, and of the children it has waited for."""
    with open(f"/proc/{pid}/stat") as file:
        ticks = file.read().rsplit(")", 1)[1].split()[11:15]
    return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")


def main():
    from_ready = sys.argv[1] == "--from-ready"
    command = sys.argv[2:] if from_ready else sys.argv[1:]
    started = begun = time.monotonic()
    process = subprocess.Popen(command, **({"stdin": subprocess.PIPE, "stdout": subprocess.PIPE} if from_ready else {}))
    pid, cpu_before, talk, answered = process.pid, 0, None, []
    if from_ready:
        # Not ready: it has failed, and says why itself.
        if process.stdout.readline() != b"ready\n":
            sys.exit(process.wait() or 1)
        cpu_before = cpu_seconds(pid)
        talk = threading.Thread(target=lambda: answered.append((process.stdout.readline(), time.monotonic())))
        begun = time.monotonic()
        process.stdin.write(b"\n")
        process.stdin.flush()
        talk.start()
    peak, ended = [0], threading.Event()
    watcher = threading.Thread(target=watch, args=(pid, peak, ended))
    watcher.start()
    _, status, usage = os.wait4(pid, 0)
    wall = time.monotonic() - begun
    ended.set()
    watcher.join()
    if talk is not None:
        talk.join()
        answer, at = answered[0]
        wall = at - begun
        os.write(1, answer)
    cpu = usage.ru_utime + usage.ru_stime - cpu_before
    result = {"wallSeconds": wall, "cpuSeconds": cpu, "startSeconds": begun - started, "peakBytes": peak[0]}
    os.write(3, json.dumps(result).encode())
    sys.exit(os.waitstatus_to_exitcode(status) & 0xFF)


main()
