"""Says what the time goes on where a bar is missed: the product's command once more, under perf(1)."""
import collections
import re
import subprocess

KINDS = {  # what a line measures, and the kind of work that measures it
    "mlog.append": "append", "mlog.append_batch": "batch", "mlog.append_concurrent": "concurrent",
    "mlog.durable": "durable", "mlog.group_commit": "group", "mlog.scan": "scan", "mlog.scan_compacted": "scan",
    "mlog.latency": "latency", "mlog.tail": "tail", "mlog.compact": "compact", "mlog.open": "open",
}
# Where a benchmark starts, waits, or makes what it measures with: no part of the work.
NO_WORK = re.compile(r"ThreadClock|Bench\.pace|vdso|clock_gettime|Payloads|crng_|chacha|get_random|idle|safe_halt|"
                     r"do_lookup_x|_dl_|check_match|strcmp|swift_conformsToProtocol|ConformanceCandidate|equalContexts|Bench\.appending")
SHOWN = 15
EVENTS = "page-faults", "context-switches"


def command(key, records):
    """What measures one line of a run again, by itself."""
    _, what, medium, mode, size = key
    mode = mode.removesuffix(".lz4_program").removesuffix(".listing")
    return ["bench", KINDS[what], "--mode", mode, "--record-bytes", str(size), "--medium", medium, "--json",
            *(["--records", str(records)] if records else []), "--repetitions", "1", "--dir", "DIR"]


def demangled(symbols):
    """The names in the source of what the compiler calls something else, without types."""
    output = subprocess.run(["swift", "demangle", "--compact", "--simplified"], input="\n".join(symbols), text=True,
                            capture_output=True).stdout.split("\n")
    plain = []
    for name in output:
        name = re.sub(r"^(generic )?(specialized |merged |function signature specialization <[^>]*> of )*", "", name)
        name = re.sub(r"^(closure #\d+ in |partial apply for |static |@\w+ )+", "", name)
        plain.append(re.sub(r"\(.*|<.*| -> .*", "", name).strip() or name)
    return dict(zip(symbols, plain))


def shares(samples):
    """Rows of thread, function and share of the samples, the largest first; and the share that the rest has."""
    names = demangled(sorted({symbol for _, symbol in samples}))
    counts = collections.Counter()
    for (thread, symbol), count in samples.items():
        if not NO_WORK.search(names[symbol]):
            counts[thread, names[symbol]] += count
    total = sum(counts.values()) or 1
    rows = [(thread, name, count / total) for (thread, name), count in counts.most_common(SHOWN)]
    return rows, 1 - sum(share for _, _, share in rows)


def perf(line, data):
    """Runs a command under perf(1), twice; what its samples and its counters say."""
    subprocess.run(["perf", "record", "-q", "-e", "cpu-clock", "-F", "4999", "-o", data, "--", *line], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    text = subprocess.run(["perf", "script", "-i", data, "-F", "comm,ip,sym,dso"], check=True, text=True,
                          capture_output=True).stdout
    samples = collections.Counter()
    for found in re.finditer(r"^\s*(.+?)\s+[0-9a-f]+ (\S+).*? \((\S+)\)$", text, re.M):
        thread, symbol, place = found.groups()
        samples[thread, symbol if symbol != "[unknown]" else place.rsplit("/", 1)[-1]] += 1
    subprocess.run(["perf", "stat", "-x", ",", "-e", ",".join(EVENTS), "-o", data, "--", *line], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with open(data) as counters:
        fields = [l.split(",") for l in counters if "," in l]
    return samples, {f[2].split(":")[0]: int(f[0]) for f in fields if f[0].isdigit()}


def profile(key, line, run_line, directory):
    """What the work of one line of a run spends its time on.

    key: of the line; line: itself; run_line: how a command of tools/compare is run.
    """
    records = None if key[1] == "mlog.open" else line.get("records", line.get("samples"))
    if key[1] in ("mlog.scan", "mlog.scan_compacted", "mlog.compact"):
        records *= 2  # they tell those of sealed segments alone
    what = command(key, records)
    found = {"command": " ".join(["mlog", *what]), "records": records}
    try:
        samples, found["events"] = perf(run_line(["mlog", *what]), f"{directory}/perf.data")
        found["rows"], found["rest"] = shares(samples)
    except (OSError, subprocess.CalledProcessError) as error:
        # A container may not be allowed to; the figures are there all the same.
        found["error"] = str(error)
    return found
