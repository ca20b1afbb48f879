"""CPU time and resident memory of a whole process tree, read from /proc."""

import os
from dataclasses import dataclass
from pathlib import Path

TICK = 1 / os.sysconf("SC_CLK_TCK")  # seconds in one unit of utime and stime

# Fields of /proc/PID/stat counted from the one after the command's closing bracket.
PPID, UTIME, STIME, STARTTIME = 1, 11, 12, 19


@dataclass(frozen=True)
class Process:
    pid: int
    started: int  # with the pid, names one process for ever
    parent: int
    ticks: int  # user + system, all threads, ended ones included


def tree(root: int) -> dict[tuple[int, int], Process]:
    """Every live process from `root` down, by (pid, start time)."""
    everyone = [process for entry in os.listdir("/proc") if entry.isdigit() and (process := read(int(entry)))]
    children: dict[int, list[Process]] = {}
    for process in everyone:
        children.setdefault(process.parent, []).append(process)
    found = {}
    waiting = [process for process in everyone if process.pid == root]
    while waiting:
        process = waiting.pop()
        found[process.pid, process.started] = process
        waiting += children.get(process.pid, [])
    return found


def read(pid: int) -> Process | None:
    """None when the process has gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat[stat.rindex(")") + 2:].split()
    return Process(pid, int(fields[STARTTIME]), int(fields[PPID]), int(fields[UTIME]) + int(fields[STIME]))


class CpuWindow:
    """CPU seconds that a tree spends between `CpuWindow(root)` and `close()`."""

    def __init__(self, root: int):
        self.root = root
        self.before = tree(root)

    def close(self) -> tuple[float, list[str]]:
        """Seconds, and the faults that make them worthless: a process that came or went
        in the window takes its time with it."""
        after = tree(self.root)
        faults = []
        if after.keys() != self.before.keys():
            faults.append("processes of the proxy started or ended while it was measured")
        same = after.keys() & self.before.keys()
        ticks = sum(after[key].ticks - self.before[key].ticks for key in same)
        return ticks * TICK, faults


def resident_bytes(root: int) -> int:
    """Resident memory of the tree: VmRSS, but a page that several of its processes share
    counts once (Pss), or nginx would pay twice for what master and worker have in common."""
    return sum(resident_of(process.pid) for process in tree(root).values())


def resident_of(pid: int) -> int:
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return 0
    pss = next((line for line in rollup.splitlines() if line.startswith("Pss:")), "Pss: 0")
    return int(pss.split()[1]) * 1024


def peak_bytes(root: int) -> int:
    """The most that the tree's processes ever had resident (VmHWM), added up."""
    return sum(peak_of(process.pid) for process in tree(root).values())


def peak_of(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return 0
    peak = next((line for line in status.splitlines() if line.startswith("VmHWM:")), "VmHWM: 0")
    return int(peak.split()[1]) * 1024


class CoreWindow:
    """Seconds that a core was not idle: less the proxy's own, what others took of it
    (programs, interrupts, the hypervisor), which tells how far a turn can be trusted."""

    def __init__(self, core: int):
        self.core = core
        self.before = busy_ticks(core)

    def close(self) -> float:
        return (busy_ticks(self.core) - self.before) * TICK


def busy_ticks(core: int) -> int:
    """From /proc/stat: user nice system idle iowait irq softirq steal, without the two idle ones."""
    for line in Path("/proc/stat").read_text(encoding="utf-8").splitlines():
        if line.startswith(f"cpu{core} "):
            fields = [int(field) for field in line.split()[1:9]]
            return sum(fields) - fields[3] - fields[4]
    return 0
