"""Command lines that fail, as the program and `python -m countersign` have them in common.

Each with its exit code and what is said. `DIRECTORY` has a key file `keys` with the key `default`.
"""

import shlex

LONG = "a" * 65
TIME = "write a time from 1ms to 48d, like 500ms, 5s or 1h"
NUMBER = "write a number from 1 to 10m, like 500 or 10k"
SIZE = "write a size from 1 to 1g, like 4096, 64k or 1m"
NAME = "a name has 1 to 64 bytes"
ID = "an id is one printable word of 1 to 64 bytes; choose another"
DATE = "write it as 2027-01-31, or with the time of day as 2027-01-31T12:00:00Z"
ADDRESS = "is not an address; write HOST:PORT or unix:/PATH"
CHUNKS = (
    "in countersign/1, --framing chunks needs records; write --framing lines or length, or remove "
    "--records"
)

ERRORS = [
    (2, "error: ", "nonsense"),
    (2, "--nonsense", "connect --nonsense"),
    (2, "error: ", "connect one two"),
    (2, "--records", "connect --records some"),
    (2, "--framing", "serve --framing words"),
    (2, "--dialect", "ping --dialect rot13"),
    (2, "--mac", "connect --dialect raw --mac sha1"),
    (2, "--service", "serve --service nonsense"),
    (2, TIME + ", or 0s for none", "connect --timeout soon"),
    (2, TIME + ", or 0s for none", "connect --timeout 5"),
    (2, TIME + ", or 0s for none", "connect --timeout 1ns"),
    (2, TIME + ", or 0s for none", "connect --timeout 49d"),
    (2, TIME + ", or 0s for none", "serve --idle-timeout soon"),
    (2, TIME, "serve --handshake-timeout 0s"),
    (2, TIME, "ping --timeout 0s"),
    (2, "write a time from 0s to 48d", "ping -i soon"),
    (2, "write a number from 1 to 1g", "ping -c 0"),
    (2, "write a number from 1 to 1g", "ping -c many"),
    (2, NUMBER, "serve --max-connections 0"),
    (2, NUMBER, "serve --max-connections 11m"),
    (2, NUMBER, "serve --max-unauthenticated many"),
    (2, NUMBER, "serve --max-per-address 0"),
    (2, SIZE, "connect --message-max 0"),
    (2, SIZE, "connect --message-max 1.5k"),
    (2, SIZE, "serve --message-max 2g"),
    (2, NAME, "connect --audience ''"),
    (2, NAME, f"serve --audience {LONG}"),
    (2, "--audience is for countersign/1; remove it", "connect --dialect raw --audience x"),
    (2, "--audience is for countersign/1; remove it", "serve --dialect open --audience x"),
    (2, "--mac is for raw", "connect --mac md5"),
    (2, CHUNKS, "serve --framing chunks --records off"),
    (2, CHUNKS, "ping --framing chunks --records allowed"),
    (2, "error: ", "keygen one two"),
    (2, ID, "keygen ''"),
    (2, ID, "keygen 'two words'"),
    (2, ID, "keygen '#one'"),
    (2, ID, f"keygen {LONG}"),
    (2, "write countersign/1, raw, hex or multiprocessing", "keygen one --dialects rot13"),
    (2, "write countersign/1, raw, hex or multiprocessing", "keygen one --dialects ''"),
    (2, "a Python program can be tricked", "keygen one --dialects raw,multiprocessing"),
    (2, "write one word", "keygen one --audience ''"),
    (2, "write one word", "keygen one --audience 'two words'"),
    (2, DATE, "keygen one --not-after soon"),
    (2, DATE, "keygen one --not-before 2027-02-30"),
    (
        2,
        "the key expires before it becomes valid; change one of the dates",
        "keygen one --not-before 2027-01-02 --not-after 2027-01-01",
    ),
    (65, "there is already a key default; choose another id", "keygen default"),
    (65, "is not a regular file; name one", "keygen one --keys DIRECTORY"),
    (1, "cannot write /proc/none/keys: no such file or directory", "keygen --keys /proc/none/keys"),
    (65, "is not a regular file; name one", "connect --keys DIRECTORY"),
    (66, "no such file; ", "connect --keys DIRECTORY/none"),
    (66, "no such file; ", "serve --keys DIRECTORY/none"),
    (69, f'cannot connect to host:port: "host:port" {ADDRESS}', "connect host:port"),
    (69, f'cannot connect to [::1: "[::1" {ADDRESS}', "ping [::1"),
    (
        69,
        f'cannot bind 127.0.0.1:70000: "127.0.0.1:70000" {ADDRESS}',
        "serve --bind 127.0.0.1:70000",
    ),
    (69, f'cannot connect to : "" {ADDRESS}', "connect ''"),
    (69, "; is the server running?", "connect unix:DIRECTORY/none"),
    (69, "; create the directory first", "serve --bind unix:DIRECTORY/none/socket"),
    (69, "; no interface of this machine has the address", "serve --bind 192.0.2.1:80"),
    (78, "key stranger for countersign/1", "connect --key stranger"),
    (78, "key for raw", "connect --dialect raw"),
]


def words(line, directory):
    """The arguments of a line, with the key file unless it names another one."""
    given = shlex.split(line.replace("DIRECTORY", directory))
    has_keys = "--keys" in given or given == ["nonsense"]
    return given if has_keys else [*given, "--keys", f"{directory}/keys"]
