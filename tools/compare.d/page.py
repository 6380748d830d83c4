"""Writes spec/performance.md and its picture from the lines of a run."""
import os
import re
import subprocess
import textwrap

from bars import Results, bars, figure, median

HEAD = """# Performance

Written by `tools/compare`; nothing here is typed by hand. Figures are medians over {rounds}, with minimum and
maximum; in each round {turns}. What is compared
runs one after the other each time, and a ratio is the median of the ratios of these times. Where it may, each command runs at the highest priority (nice and autogroup at -20). Before each that fills much
memory, as much is taken and given back: a virtual machine's host may take back what is free, and whoever came first would
wait for it. Two machines, or two days, can't be compared: read the ratios, which are of one run. A ✗ after `cpu_wait` says
that the thread stood ready without a CPU for more than 0.02 of the time: the line measures the neighbours. (Where
there are more threads than CPUs by intent, some wait, and no line is marked for it.){quick}
"""

FIELDS = {  # what a table shows of a line, as far as the line has it
    "ns_per_record": "ns a record", "p50_ns": "p50 ns", "p90_ns": "p90", "p99_ns": "p99", "p999_ns": "p99.9",
    "max_ns": "max", "ns_behind_pause": "behind a pause", "mb_per_s": "MB/s", "ratio": "compressed to 1/",
    "time_to_lz4_program": "time ÷ lz4's", "size_to_lz4_program": "size ÷ lz4's", "ratio_to_raw": "÷ raw",
    "ratio_to_one": "÷ one", "sleeps_per_record": "sleeps a record", "peak_anonymous_bytes": "anonymous MiB", "peak_resident_bytes": "resident MiB",
}


def table(heading, alignment, rows):
    lines = ["| " + " | ".join(heading) + " |", "|" + "|".join(alignment) + "|"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows]) + "\n"


def bars_table(results):
    rows, missed = [], 0
    for title, row in bars(results):
        if row is None:
            rows.append([title, "not measured", "", "", "", "", ""])
            continue
        missed += not row[5]
        rows.append([title, *row[:5], "✓" if row[5] else "✗"])
    measured = sum(row[1] is not None for row in bars(results))
    return (f"{measured - missed} of {measured} bars are reached. *Without a log*: the same ratio of programs that do nothing but "
            "what the work can't do without.\n\n") + table(
        ["work", "measured", "reference", "ratio", "without a log", "at most", ""], ["---"] + ["---:"] * 5 + ["---"], rows)


NOISE = 0.02


def crowded(mode):
    """Whether there are more threads than processors by intent, so that some wait for one."""
    return max(map(int, re.findall(r"(?:processes|threads)(\d+)", mode)), default=1) > (os.cpu_count() or 1)


def cell(field, values):
    scale = 1 << 20 if field.endswith("_bytes") else 1
    middle = figure(median(values) / scale)
    if len(values) == 1 or field not in ("ns_per_record", "p50_ns", "p999_ns"):
        return middle
    return f"{middle} ({figure(min(values))}–{figure(max(values))})"


def group_table(results, group):
    keys = [k for k in results.lines if k[0] == group]
    fields = [f for f in FIELDS if any(results.values(k, f) for k in keys)]
    rows = []
    for key in keys:
        wait = max(results.values(key, "cpu_wait") or [0])
        rows.append([f"`{key[1]}`", key[2], f"`{key[3]}`", str(key[4])]
                    + [cell(f, results.values(key, f)) if results.values(key, f) else "" for f in fields]
                    + [f"{wait:.3f}{' ✗' if wait > NOISE and not crowded(key[3]) else ''}"])
    return table(["what", "medium", "mode", "B"] + [FIELDS[f] for f in fields] + ["cpu_wait"],
                 ["---"] * 3 + ["---:"] * (len(fields) + 2), rows)


NOTES = {  # what the figures of a group can't say
    "append": "`populated`: 8 MiB at a time, each after 40 ms in which the background thread populates them, which isn't counted; "
              "as populating isn't in the limit. Neither is the first half of each, which is behind a pause as the limit never is "
              "([tuning.md](tuning.md)): it takes what stands under *behind a pause*. `sustained`: all in one go, 88 MB of the small ones. Resident is the highest, less "
              "what was resident before the log was made. `limit.append_steps`: what a log's append does, step by step, each line "
              "with all before it, in plain C and without a log; `+looks`: at all that a log has to look at and finds nothing to do. "
              "*Without a log* is `+clock`.",
    "concurrent": "8 MiB in all at a time, each after 40 ms in which their background threads populate it. `limit.append_concurrent`: as many copy and sum up "
                  "records, at the same times, into memory that is there, under a `pthread_mutex_t` (`mutex`), a word (`spin`), "
                  "or no lock but an addition that claims a place (`reserve`): who dies there leaves a hole at which all readers wait.",
    "sustained": "`limit.append_sustained`: a thread copies and sums up records, while others make the next file, 64 MiB each, and "
                 "populate its pages; `mapped.fsync`: each file and its name is flushed before it is used, as a log's have to be; *without a "
                 "log* is this line. `write`: the same records, a thousand at a time with `write(2)`, to such files.",
    "latency": "How long the call took; an append that was due meanwhile isn't counted as late. There is one roll in a round.",
    "durable": "All on one processor: where that is the one which the disk interrupts, each wait is shorter by the time that waking "
               "another one takes. The bar beside the limit is of medians of single appends; peers tell means, and are compared by those.",
    "group": "`limit.group_commit`: as many threads wait for one flush of a file to which nobody appends; `no_flush`: they only "
               "sleep and are woken.",
    "scan": "`SEGMENT` is the first one of the log that is kept, so that the limit walks, sums up and decompresses the very frames "
            "that the log reads. Resident is what reading took more than what was resident before the log was opened.",
    "memory": "Resident is what reading took more than what was resident before the log was opened.",
    "compact": "`mlog compact` takes two segments at a time, each with two threads, as it does by default; it reads back, "
               "compares and flushes. The program does none of that, with one thread.",
    "tail": "`spin`: half of a round trip, of two processes that each append to one log and tail the other's, as the limit's "
            "two share two words. `asleep`: a record each 50 µs, as in a futex that is answered at once; `asleep_500us`: each 500 µs; "
            "records that found the tailer awake aren't counted. After 500 µs the tailer's processor sleeps too, and waking that takes longer than all else: `futex_after_500us` is as late.",
}

PEERS = {"file": "plain file", "lmdb": "LMDB", "rocksdb": "RocksDB", "leveldb": "LevelDB", "sqlite": "SQLite"}


def readme_table(results):
    """The table of README.md: what each of them takes for a record of 64 bytes."""
    def cost(what, mode, field="ns_per_record"):
        least = results.least(results.find(what, mode, 64), field)
        return figure(least[0]) if least else "–"

    def row(title, mine, theirs, mode, field="ns_per_record"):
        return [title, mine] + [cost(f"{p}.{theirs}", mode, field) for p in PEERS]
    rows = [
        row("append, one by one", cost("mlog.append", "single.sustained"), "append", "nosync.single"),
        row("append, batches (100; the others 1000)", cost("mlog.append_batch", "batch100.sustained"), "append",
            "nosync.batch1000"),
        row("append, each one durable", cost("mlog.durable", "every_append", "mean_ns"), "append_durable",
            "sync.single"),
        row("scan", cost("mlog.scan", "raw"), "scan", "iterator"),
        row("from writer to tailer, spinning, median (half of a round trip; others poll for a record each 50 µs)", cost("mlog.tail", "spin", "p50_ns"), "tail", "poll", "p50_ns"),
    ]
    return table(["work", "MappedLog", *PEERS.values()], ["---"] + ["---:"] * (len(PEERS) + 1), rows)


def write_readme(results):
    begin, end = "<!-- written by tools/compare -->\n", "<!-- end -->"
    with open("README.md") as readme:
        text = readme.read()
    before, rest = text.split(begin)
    after = rest.split(end, 1)[1]
    with open("README.md", "w") as readme:
        readme.write(before + begin + "\n" + readme_table(results) + "\n" + end + after)


def draw(results, build, target):
    """What a record of 64 bytes costs, of everybody, shortest first."""
    found = []
    for key in results.lines:
        if key[0] == "append" and key[4] == 64 and results.values(key, "ns_per_record"):
            place = ", shm" if key[2] == "shm" else ""
            found.append((median(results.values(key, "ns_per_record")), f"{key[1]} {key[3]}{place}"))
    if not found:
        return False
    found.sort(reverse=True)
    with open(f"{build}/picture.dat", "w") as data:
        for place, (value, name) in enumerate(found):
            colour = 1 if name.startswith("mlog") else 2 if name.startswith("limit") else 3
            data.write(f'{place} {value} {colour} "{name}"\n')
    script = f"""
        set terminal svg size 900,{60 + 26 * len(found)} dynamic noenhanced font 'sans-serif,12' background 'white'
        set output '{target}'
        set title 'Append of 64 bytes: nanoseconds a record, logarithmic'
        set logscale x
        set xrange [1:*]
        set yrange [-0.6:{len(found) - 0.4}]
        set grid xtics
        set style fill solid 0.8 noborder
        unset key
        colour(n) = n == 1 ? 0x1b6ca8 : n == 2 ? 0x3a7d44 : 0x9a9a9a
        plot '{build}/picture.dat' using (1):0:(1):2:($0-0.35):($0+0.35):(colour($3)):ytic(4) with boxxyerror \\
            linecolor rgb variable, '' using 2:0:(sprintf(' %.0f', $2)) with labels left
        """
    subprocess.run(["gnuplot"], input=script, text=True, check=True)
    return True


def profiles_section(profiles):
    """What the time goes on where a bar is missed."""
    if not profiles:
        return ""
    text = ("\n## Where the time goes that a missed bar takes\n\nEach of these commands once more, under `perf record -e cpu-clock`: "
            "samples of all its threads, but for those in which a benchmark starts, waits, or reads the clock. `mlog` and `exe` are "
            "the benchmark's own processes, `mlog-…` the log's background threads. What was tried, and how low it can be, stands in "
            "[tuning.md](tuning.md).\n")
    for title, profile in profiles.items():
        text += f"\n### {title}\n\n```\n{profile['command']}\n```\n\n"
        if "error" in profile:
            text += f"Not to be had here: {profile['error']}\n"
            continue
        rows = [[f"`{thread}`", f"`{name}`", f"{share:.1%}"] for thread, name, share in profile["rows"]]
        text += table(["thread", "function", "share"], ["---", "---", "---:"], rows + [["", "all others", f"{profile['rest']:.1%}"]])
        counts = ", ".join(f"{count:,} {event.replace('-', ' ')}" for event, count in profile["events"].items())
        of = f" of {profile['records']:,} records" if profile["records"] else ""
        text += f"\nThe whole command{of}: {counts}.\n"
    return text


def write(about, lines, build):
    results = Results(lines)
    here = {k[0] for k in results.lines}
    often = ", ".join(f"{group} {times} times" for group, times in about["turns"].items() if group in here)
    rounds = f"{about['rounds']} round{'s' if about['rounds'] > 1 else ''}"
    head = HEAD.format(rounds=rounds, turns=f"these run more than once: {often}" if often else "each runs once",
                       quick="\n\n**A quick run, with a tenth of the records.**" if about["quick"] else "")
    text = "\n\n".join(textwrap.fill(part, 118, break_on_hyphens=False) for part in head.split("\n\n")) + "\n"
    text += "\n## Machine\n\n" + table(["", ""], ["---", "---"], [[k, v] for k, v in about["machine"].items()])
    text += "\n## What must be reached\n\n" + bars_table(results)
    # A part, or fewer rounds than are promised, takes no page's place.
    whole = about["whole"] and all(row is not None for _, row in bars(results))
    place = "spec" if whole else build
    if draw(results, build, f"{place}/performance.svg"):
        text += "\n![Append of 64 bytes](performance.svg)\n"
    for group in dict.fromkeys(k[0] for k in results.lines):
        text += f"\n## {group}\n\n```\n" + "\n".join(about["commands"][group]) + "\n```\n\n"
        text += group_table(results, group)
        if group in NOTES:
            text += f"\n{NOTES[group]}\n"
    text += profiles_section(about.get("profiles", {}))
    text += ("\n`mlog` is `.build/release/mlog`; `limits`, `steps`, `sustained`, `group`, `concurrent` and `peers` are built from `tools/compare.d`, "
             "whose README says what their lines mean.\n")
    with open(f"{place}/performance.md", "w") as page:
        page.write(text)
    if whole:
        write_readme(results)
    print(f"{place}/performance.md is written; results are in {os.path.join(build, 'results.jsonl')}")
