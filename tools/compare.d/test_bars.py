"""What tools/compare makes of lines: run by tools/test."""
import os
import subprocess
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
os.chdir(os.path.join(HERE, "../.."))
sys.path.insert(0, HERE)
import bars  # noqa: E402
import page  # noqa: E402


def lines(group, what, mode, values, size=64, field="ns_per_record", medium="file"):
    return [{"group": group, "turn": turn, "what": what, "medium": medium, "mode": mode, "record_bytes": size, field: value}
            for turn, value in enumerate(values)]


def row(of, title):
    return next(row for name, row in bars.bars(bars.Results(of)) if name == title)


APPEND = "append one by one, 64 B, pages populated ahead"
MODE = "fallocate+populate+crc32c"


class Bars(unittest.TestCase):
    def test_a_ratio_is_the_median_of_those_of_the_turns(self):
        # The machine is slow in the first turn for both, in the others for one of them: medians would say 1.
        of = lines("append", "mlog.append", "single.populated", [300, 30, 30]) + lines("append", "limit.append", MODE, [100, 10, 30])
        self.assertEqual(row(of, APPEND)[2], "3 ×")
        self.assertFalse(row(of, APPEND)[5])

    def test_a_bar_is_reached_at_its_figure_and_missed_above(self):
        limit = lines("append", "limit.append", MODE, [10])
        self.assertTrue(row(lines("append", "mlog.append", "single.populated", [25]) + limit, APPEND)[5])
        self.assertFalse(row(lines("append", "mlog.append", "single.populated", [25.1]) + limit, APPEND)[5])

    def test_a_turn_without_its_partner_is_an_error(self):
        of = lines("append", "mlog.append", "single.populated", [30, 30]) + lines("append", "limit.append", MODE, [10])
        with self.assertRaisesRegex(ValueError, "has the turns"):
            bars.bars(bars.Results(of))

    def test_what_is_added_to_a_reference_has_to_be_there(self):
        title = "open for tailing, 1,000 segments, against 2 and the listing"
        of = (lines("open", "mlog.open", "segments_1000", [300], field="p50_ns")
              + lines("open", "mlog.open", "segments_2", [100], field="p50_ns"))
        self.assertIsNone(row(of, title))
        of += lines("open", "mlog.open", "segments_1000.listing", [200], field="p50_ns")
        self.assertEqual((row(of, title)[2], row(of, title)[5]), ("1 ×", True))

    def test_below_is_below(self):
        title = "99.9th percentile of an append, 64 B, 100,000/s"
        for value, reached in (19_999, True), (20_000, False):
            of = lines("latency", "mlog.latency", "paced_100000_per_s", [value], field="p999_ns")
            self.assertEqual(row(of, title)[5], reached)

    def test_what_it_takes_without_a_log_stands_beside_it(self):
        of = (lines("sustained", "mlog.append", "single.sustained", [900, 800], 1024)
              + lines("sustained", "file.append", "nosync.batch1000", [800, 800], 1024)
              + lines("sustained", "limit.append_sustained", "mapped.fsync", [800, 1200], 1024))
        self.assertEqual(row(of, "sustained, 1 KiB, all costs in")[2:4], ("1.06 ×", "1.25 ×"))

    def test_the_bars_are_those_that_were_set(self):
        measured = [name for name, _ in bars.bars(bars.Results([]))]
        self.assertEqual(len(measured), 28)
        self.assertEqual(bars.window(), 16)

    def test_a_percentile_shows_how_far_it_goes(self):
        self.assertEqual(page.cell("p999_ns", [5000, 119_000, 6000]), "6,000 (5,000–119,000)")


class Arguments(unittest.TestCase):
    def test_wrong_ones_are_told_before_anything_is_built(self):
        for arguments, told in (["--groups", "tail,nothing"], "no group nothing"), (["--rounds", "0"], "--rounds is 1 at least"):
            done = subprocess.run(["tools/compare", *arguments], capture_output=True, text=True)
            self.assertEqual(done.returncode, 2)
            self.assertIn(told, done.stderr)


if __name__ == "__main__":
    unittest.main()
