#!/usr/bin/env python3
"""Runs the tests of this folder, or some of its files, and says what was skipped."""

import logging
import os
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))


class Result(unittest.TextTestResult):
    """Shows the reason of each skip, which could be overlooked as a letter among dots."""

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        print(f"SKIP: {test.id()}: {reason}", flush=True)


def main():
    # In its debug mode, asyncio reports what a busy machine takes long for.
    logging.getLogger("asyncio").setLevel(logging.ERROR)
    # What servers warn of is what tests provoke.
    logging.getLogger("countersign").addHandler(logging.NullHandler())
    pattern = sys.argv[1] if len(sys.argv) > 1 else "test_*.py"
    tests = unittest.defaultTestLoader.discover(HERE, pattern)
    done = unittest.TextTestRunner(resultclass=Result, warnings="ignore").run(tests)
    sys.exit(not done.wasSuccessful() or not done.testsRun)


if __name__ == "__main__":
    main()
