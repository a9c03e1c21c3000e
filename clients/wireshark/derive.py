#!/usr/bin/env python3
"""Writes a key file without passphrases, for the dissector: their keys stand in their place.

usage: derive.py KEYFILE > DERIVED    the result is as secret as the file"""

import hashlib
import sys


def derived(line):
    """The same line; the key that a passphrase stands for is written in hexadecimal digits."""
    fields = line.split()
    if len(fields) < 2 or line.lstrip().startswith("#"):
        return line
    encoding, _, passphrase = fields[1].partition(":")
    if encoding != "passphrase":
        return line
    salt = b"countersign/1 pass" + fields[0].encode()
    key = hashlib.pbkdf2_hmac("sha256", passphrase.encode(), salt, 600_000)
    return " ".join([fields[0], "hex:" + key.hex(), *fields[2:]]) + "\n"


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with open(sys.argv[1], encoding="utf-8-sig") as file:
        sys.stdout.writelines(map(derived, file))


if __name__ == "__main__":
    main()
