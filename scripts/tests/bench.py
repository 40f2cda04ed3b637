#!/usr/bin/env python3
"""Tests of the verdicts of scripts/bench: what failed makes the bench fail, and no verb drops out of it unseen."""

import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "bench"))

import analyze  # noqa: E402
import analyze_report  # noqa: E402
import report  # noqa: E402

HELP = "Commands:\n" + "".join(f"  {verb}  what it does\n" for verb in sorted({*analyze.VERBS, *analyze.NOT_MEASURED})) + "\nOptions:\n"


def sample(subject, question, events, peak_mib, wall_s=1.0):
    return analyze.Sample(subject, question, events, 1, 0, wall_s, wall_s, peak_mib << 20)


class Verdicts(unittest.TestCase):
    def test_a_failure_by_cpu_time_is_a_failure(self):
        self.assertEqual(report.status(["PASS", "UNCLEAR; by CPU time FAIL"]), 1)
        self.assertEqual(report.status(["FAIL (of 3 rounds only)"]), 1)

    def test_what_is_unclear_or_was_not_run_is_none(self):
        self.assertEqual(report.status(["PASS", "UNCLEAR", "NOT RUN", "UNCLEAR; by CPU time PASS"]), 0)

    def test_what_the_clock_cannot_tell_is_judged_by_cpu_time(self):
        unclear, more, less = [-1, 1, -2, 2, -3, 3], [0.5] * 6, [-0.5] * 6
        self.assertEqual(report.judged(unclear, less), "UNCLEAR; by CPU time PASS")
        self.assertEqual(report.judged(unclear, more), "UNCLEAR; by CPU time FAIL")
        self.assertEqual(report.judged(more, less), "FAIL")

    def test_a_verb_that_was_renamed_is_an_error(self):
        analyze.check_verbs(HELP)
        with self.assertRaisesRegex(RuntimeError, "memory, ram"):
            analyze.check_verbs(HELP.replace("  memory ", "  ram "))

    def test_a_verb_that_nobody_measures_is_an_error(self):
        with self.assertRaisesRegex(RuntimeError, "advise"):
            analyze.check_verbs(HELP.replace("  diff ", "  advise  what it does\n  diff "))

    def test_the_memory_of_every_question_counts_of_whatever_trace(self):
        few, most = 10_000_000, 100_000_000
        samples = [sample(analyze_report.OURS, question, most, 50)
                   for question in (analyze_report.REPORT, analyze_report.WINDOW, "threads")]
        samples += [sample(analyze_report.DECODE, analyze_report.REPORT, most, 20),
                    sample(analyze_report.OURS, analyze_report.REPORT, few, 50)]
        for peak, expected in ((400, "PASS"), (600, "FAIL")):
            rounds = analyze_report.Rounds([*samples, sample(analyze_report.OURS, "stacks", 2_000_000, peak)])
            claims = list(analyze_report.claims(rounds, [few, most], {"DuckDB": "none"}))
            found = [claim for claim in claims if "MiB" in claim[0]]
            self.assertEqual([claim[2] for claim in found], [expected], found)


if __name__ == "__main__":
    unittest.main()
