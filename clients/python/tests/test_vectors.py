"""Every vector as client and as server: at every cut if asked for, else whole and byte by byte."""

import os
import unittest

import play

HERE = os.path.dirname(os.path.abspath(__file__))
VECTORS = os.path.join(HERE, "..", "..", "..", "tests", "vectors", "countersign-1.json")
# Every case has its own number of cuts, and all of them take a while.
STEP = int(os.environ.get("COUNTERSIGN_CUTS", "1"))


class Vectors(unittest.TestCase):
    """What countersign/1 is, byte by byte."""

    def test_every_case_at_every_cut(self):
        for role, case in play.cases(VECTORS):
            with self.subTest(case["name"]):
                self.assertGreater(play.check(role, case, STEP), 1)

    def test_a_changed_vector_fails(self):
        role, case = next(play.cases(VECTORS))
        case["out"] = case["out"][:-2] + "00"
        with self.assertRaises(AssertionError):
            play.check(role, case)


if __name__ == "__main__":
    unittest.main()
