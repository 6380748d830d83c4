"""What must be reached: each bar as a ratio, the median of those of each turn, or as a limit of its own."""

import re

MIB = 1 << 20


def window():
    """How many MiB are populated ahead of an appender, as spec/protocol.md says."""
    with open("spec/protocol.md") as spec:
        return int(re.search(r"Populates pages up to (\d+) MiB ahead of the tail", spec.read()).group(1))


class Results:
    """The lines of a run, by what they measured; a value is the median over the turns."""

    def __init__(self, lines):
        self.lines = {}
        for line in lines:
            if line["what"] == "env":
                continue
            key = (line["group"], line["what"], line.get("medium", line.get("fs")), line["mode"], line["record_bytes"])
            self.lines.setdefault(key, []).append(line)

    def find(self, what, mode="", size=None, group=None, shared=False):
        """The keys of lines whose mode contains a text; of what was done in files, or in shared memory."""
        return [k for k in self.lines if k[1] == what and mode in k[3] and size in (None, k[4])
                and group in (None, k[0]) and (k[2] == "shm") == shared]

    def values(self, key, field):
        return [line[field] for line in self.lines[key] if field in line]

    def least(self, keys, field):
        """The smallest median of some lines, the line it comes from, and its value by turn; None: there is none."""
        found = [(median(self.values(k, field)), k) for k in keys if self.values(k, field)]
        if not found:
            return None
        value, key = min(found)
        return value, key, {line["turn"]: line[field] for line in self.lines[key]}


def median(values):
    ordered, middle = sorted(values), len(values) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def ratio_of(product, *references):
    """The median of the turns' ratios: from one turn to the next the machine isn't the same.

    product, references: as `least` returns them; the references are added up. A turn without its partner would be
    left out unseen, so that is an error.
    """
    turns = product[2].keys()
    for reference in references:
        if reference[2].keys() != turns:
            raise ValueError(f"{product[1]} has the turns {sorted(turns)}, {reference[1]} has {sorted(reference[2])}")
    return median([product[2][t] / sum(reference[2][t] for reference in references) for t in turns])


def bars(results):
    """Rows: what, measured, reference, ratio, the ratio of the same work without a log, bar, as text, whether it is reached,
    and which line was measured; None where none was."""
    rows = []

    def name(key):
        return f"{key[1]} {key[3]}"

    def without_log(what, mode, one, size, kinds=("",)):
        """What the work costs where there is nothing but what it can't do without, by the best of some kinds."""
        ratios = []
        for kind in kinds:
            found = [r.least([k for k in r.find(what, m, size) if k[3] == m + kind], ns) for m in (mode, one)]
            if all(found):
                ratios.append(ratio_of(*found))
        return f"{min(ratios):.3g} ×" if ratios else ""

    def ratio(title, product, references, factor, lowest=""):
        """references: what is added up to the reference, named after the first."""
        references = references if isinstance(references, list) else [references]
        if product is None or None in references:
            rows.append((title, None))
            return
        base, found = sum(reference[0] for reference in references), ratio_of(product, *references)
        shown = f"{figure(product[0])}", f"{figure(base)} ({name(references[0][1])})"
        rows.append((title, (*shown, f"{found:.3g} ×", lowest,
                             f"{factor:g} ×" if factor >= 0.3 else f"1/{1 / factor:g}", found <= factor, product[1])))

    def limit(title, product, most, unit, scale=1.0, below=False):
        if product is None:
            rows.append((title, None))
            return
        value = product[0] / scale
        reached = value < most if below else value <= most
        rows.append((title, (f"{value:.4g} {unit}", "", "", "", f"{'< ' if below else ''}{most:g} {unit}", reached,
                             product[1])))

    r = results
    ns = "ns_per_record"
    locked = ".mutex", ".spin"
    for shared, where in (False, ""), (True, ", /dev/shm"):
        for size, factor in (64, 2.5), (1024, 1.4), (4096, 1.4):
            base = r.least(r.find("limit.append", "fallocate+populate+crc32c", size, shared=shared), ns)
            steps = r.least([k for k in r.find("limit.append_steps", "", size) if k[3] == "+clock"], ns)
            ratio(f"append one by one, {size} B, pages populated ahead{where}",
                  r.least(r.find("mlog.append", "single.populated", size, shared=shared), ns), base, factor,
                  lowest=f"{ratio_of(steps, base):.3g} ×" if steps and base and not shared else "")
    written = r.least(r.find("file.append", "nosync.batch1000", 1024), ns)
    mapped = r.least(r.find("limit.append_sustained", "mapped.fsync", 1024), ns)
    ratio("sustained, 1 KiB, all costs in", r.least(r.find("mlog.append", "single.sustained", 1024), ns), written, 1,
          lowest=f"{ratio_of(mapped, written):.3g} ×" if mapped and written else "")
    one = r.least(r.find("mlog.append", "single.sustained", 64), ns)
    stores = ["lmdb", "rocksdb", "leveldb", "sqlite"]
    ratio("append 64 B one by one, sustained, against stores in batches of 1000", one,
          r.least([k for s in stores for k in r.find(f"{s}.append", "nosync.batch1000", 64)], ns), 1 / 4)
    ratio("append 64 B one by one, sustained, against any peer one by one", one,
          r.least([k for s in [*stores, "file"] for k in r.find(f"{s}.append", "nosync.single", 64)], ns), 1 / 15)

    def beside_one(title, mode, batch, size, factor, lowest=""):
        ratio(title, r.least(r.find("mlog.append_concurrent", mode, size), ns),
              r.least(r.find("mlog.append_concurrent", f"process1.{batch}", size), ns), factor, lowest=lowest)
    beside_one("4 processes, 64 B one by one, in total", "processes4.single", "single", 64, 5,
               without_log("limit.append_concurrent", "processes4", "process1", 64, locked))
    beside_one("4 processes, 64 B in batches of 100, in total", "processes4.batch100", "batch100", 64, 1)
    beside_one("4 processes, 4 KiB, in total", "processes4.single", "single", 4096, 1,
               without_log("limit.append_concurrent", "processes4", "process1", 4096, locked))
    beside_one("4 threads, 64 B, in total", "threads4.single", "single", 64, 3)
    limit("99.9th percentile of an append, 64 B, 100,000/s", r.least(r.find("mlog.latency", "", 64), "p999_ns"), 20,
          "µs", 1000, below=True)
    ratio("durable append, one flush each", r.least(r.find("mlog.durable", "", 64), "p50_ns"),
          r.least(r.find("limit.durable", "mmap_same_page"), "p50_ns"), 1.15)
    ratio("durable append, against any peer", r.least(r.find("mlog.durable", "", 64), "mean_ns"),
          r.least([k for s in [*stores, "file"] for k in r.find(f"{s}.append_durable", "sync.single", 64)], ns), 1)
    ratio("group commit, 64 waiting appenders in 2 processes",
          r.least(r.find("mlog.group_commit", "processes2.threads32"), ns),
          r.least(r.find("mlog.group_commit", "process1.thread1"), ns), 1 / 25,
          lowest=without_log("limit.group_commit", "processes2.threads32", "process1.thread1", 64))
    warm = r.least(r.find("limit.segment", "walk+crc32c.prefaulted"), ns)
    walk = r.least(r.find("limit.segment", "walk+crc32c.faulting"), ns)
    ratio("scan raw segments, 64 B", r.least(r.find("mlog.scan", "raw", 64), ns), walk, 2.5)
    ratio("scan compacted segments, 64 B, against decompression and walk",
          r.least(r.find("mlog.scan_compacted", "block_256KiB", 64), ns),
          [r.least(r.find("limit.segment", "lz4_decompress.block_256KiB"), ns), warm], 1.5)
    for mode, reference, factor in ("spin", "spin", 2.5), ("asleep", "futex", 1.3):
        ratio(f"from writer to tailer, {mode}, p50",
              r.least([k for k in r.find("mlog.tail", mode) if k[3] == mode], "p50_ns"),
              r.least([k for k in r.find("limit.pingpong_one_way", reference) if k[3] == reference], "p50_ns"), factor)
    ratio("the same, asleep for 500 µs, so that its processor is too, against a futex posted as late",
          r.least(r.find("mlog.tail", "asleep_500us"), "p50_ns"),
          r.least(r.find("limit.wake_one_way", "futex_after_500us"), "p50_ns"), 1.3)
    level1 = [k for k in r.find("mlog.compact", "level_1.") if "program" not in k[3]]
    program = [k for k in r.find("mlog.compact", "level_1.") if "program" in k[3]]
    ratio("compact, level 1, a record", r.least(level1, ns), r.least(program, ns), 1)
    ratio("compact, level 1, size", r.least(level1, "size_to_lz4_program"), r.least(program, "size_to_lz4_program"),
          1.01)
    listing = r.least(r.find("mlog.open", "segments_1000.listing"), "p50_ns")
    ratio("open for tailing, 1,000 segments, against 2 and the listing",
          r.least([k for k in r.find("mlog.open", "segments_1000") if "listing" not in k[3]], "p50_ns"),
          [r.least([k for k in r.find("mlog.open", "segments_2") if "listing" not in k[3]], "p50_ns"), listing], 1)
    memory = "peak_resident_bytes"
    limit("resident memory of an appender", r.least(r.find("mlog.append", "single.sustained", 1024), memory),
          2 * window() + 16, "MiB", MIB)
    limit("resident memory of a tailer, 10 GB", r.least(r.find("mlog.scan", "raw", 1024, "memory"), memory), 128, "MiB",
          MIB)
    limit("resident memory of a tailer, 10 GB compacted",
          r.least(r.find("mlog.scan_compacted", "", 1024, "memory"), memory), 16, "MiB", MIB)
    return rows


def figure(value):
    """A number with four digits at most before the point matters."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
