"""Key files, line by line, and the files that aren't trusted."""

import contextlib
import os
import stat
import tempfile
import threading
import unittest
import unittest.mock

from countersign import Key, KeyRing, errors, key_file
from countersign.key_file import add_key, parse_date

SHORT = "the secret has fewer"
FAULTY = [
    ("key", "line 1: a key needs an id and a secret"),
    ("key s3cret", "line 1: the secret has no encoding"),
    ("key rot13:s3cret", "line 1: the secret has no encoding"),
    ("key hex:s3cret", "line 1: the secret is not valid hexadecimal"),
    ("key hex:abc", "line 1: the secret is not valid hexadecimal"),
    ("key base64:s3!cret", "line 1: the secret is not valid base64"),
    ("key base64:s3d=", "line 1: the secret is not valid base64"),
    ("key text:", "line 1: the secret is empty"),
    ("key hex:", "line 1: the secret is empty"),
    ("key hex:0000", "line 1: the secret is empty"),
    ("key passphrase:", "line 1: the secret is empty"),
    ("key text:s3 cret", "line 1: options are dialects=, audience=, not-before="),
    ("key text:s3 cret=raw", "line 1: options are dialects="),
    ("key text:s3cret", "line 1: the secret has fewer than 16 bytes, too few for countersign"),
    ("key text:s3cret-of-15-b dialects=countersign/1", "line 1: " + SHORT),
    ("key text:s3cret dialects=raw,countersign/1", "line 1: " + SHORT),
    ("key text:s3cret dialects=rot13", "line 1: dialects= takes"),
    ("key text:s3cret dialects=", "line 1: dialects= takes"),
    ("key text:s3cret dialects=raw,", "line 1: dialects= takes"),
    ("key text:s3cret dialects=open", "line 1: dialects= takes"),
    ("key text:s3cret dialects=raw dialects=hex", "line 1: dialects= is given twice"),
    ("key text:s3cret dialects=raw,multiprocessing", "line 1: a Python program can be tricked"),
    ("key text:s3cret audience=", "line 1: an audience is one printable word"),
    ("key text:s3cret audience=a\x07b", "line 1: an audience is one printable word"),
    ("key text:s3cret audience=" + "a" * 65, "line 1: an audience is one printable word"),
    ("key text:s3cret audience=a audience=b", "line 1: audience= is given twice"),
    ("key text:s3cret not-before=s3cret", "line 1: not-before= takes a date"),
    ("key text:s3cret not-after=2027-02-29", "line 1: not-after= takes a date"),
    ("key text:s3cret not-after=2027-01-01 not-after=s3", "line 1: not-after= takes a date"),
    (
        "key text:s3cret not-after=2027-01-01 not-after=2027-01-01",
        "line 1: not-after= is given twice",
    ),
    (
        "k text:s3cret dialects=raw not-before=2027-01-02 not-after=2027-01-01",
        "line 1: the key expires before it becomes valid",
    ),
    ("k text:s3cret dialects=raw\nk text:other-secret-of-size", "line 2: the id k is used"),
    ("a text:s3cret dialects=raw\nb text:s3cret dialects=raw", "line 2: the key a has the same"),
    ("a text:s3cret dialects=raw\nb hex:73336372657400 dialects=hex", "line 2: the key a has"),
    ("k" * 65 + " text:s3cret", "line 1: an id is"),
    ("a\x07b text:s3cret", "line 1: an id is"),
    ("a text:s3cret dialects=raw\n\ufeffb text:other-s3cret-of-size", "line 2: an id is"),
    ("\n".join(f"k{n} text:s3cret-{n} dialects=raw" for n in range(9)), "line 9: more than 8"),
]


class Lines(unittest.TestCase):
    def test_a_faulty_line_is_named_with_a_remedy_and_without_its_secret(self):
        for text, expected in FAULTY:
            with self.subTest(text):
                with self.assertRaises(errors.KeyFileError) as caught:
                    KeyRing.parse(text)
                message = str(caught.exception)
                self.assertTrue(message.startswith(expected), message)
                self.assertIn(";", message)
                self.assertNotIn("s3", message)
                self.assertIsNone(caught.exception.__cause__)

    def test_bytes_that_are_no_text_are_named(self):
        with self.assertRaisesRegex(errors.KeyFileError, "^line 2: the line is not UTF-8"):
            KeyRing.parse(b"ok text:fine dialects=raw\nkey text:\xff")

    def test_all_encodings_and_options_are_read(self):
        ring = KeyRing.parse(
            b"\xef\xbb\xbf# Keys of the house.\r\n\r\n"
            b"garden  hex:9F86d081884c7d659a2feaa0c55ad015  audience=sprinkler\r\n"
            b"gate\ttext:open-sesame dialects=raw,hex  not-after=2027-01-31\n"
            b"shed base64:AAECAwQFBgcICQoLDA0ODw== not-before=2027-01-01T06:00:00+01:00\n"
            b"hut base64:AAECAwQFBgcICQoLDA0OEA\n"
            b"field passphrase:correct-horse"
        )
        garden, gate, shed, hut, field = ring
        self.assertEqual((garden.id, garden.audience), (b"garden", b"sprinkler"))
        self.assertTrue(garden.is_for(b"sprinkler") and not garden.is_for(b""))
        self.assertEqual((gate.dialects, gate.not_after), (("raw", "hex"), 1_801_440_000))
        self.assertEqual(shed.not_before, 1_798_779_600)
        self.assertTrue(shed.serves("countersign/1", shed.not_before))
        self.assertFalse(shed.serves("countersign/1", shed.not_before - 1))
        self.assertFalse(gate.serves("raw", gate.not_after))
        self.assertTrue(gate.serves("raw", gate.not_after - 1))
        secret = bytes(range(15)) + b"\x10"
        self.assertTrue(hut.is_same_secret(Key("other", secret)))
        # As `countersign keys` prints it.
        self.assertEqual(field.fingerprint(), Key("f", field._secret).fingerprint())
        self.assertIn("garden, gate, shed", repr(ring))

    def test_dates_are_as_date_u_says(self):
        cases = [
            ("2027-01-31", 1_801_353_600, 1_801_440_000),
            ("2028-02-29", 1_835_395_200, 1_835_481_600),
            ("2027-01-31T12:00:00Z", 1_801_396_800, 1_801_396_800),
            ("2027-01-31T12:00:00+02:00", 1_801_389_600, 1_801_389_600),
            ("2027-01-31t12:00:00z", 1_801_396_800, 1_801_396_800),
            ("2027-01-31T12:00:00.5-01:30", 1_801_402_200.5, 1_801_402_200.5),
            ("0000-02-29", 0, 0),
            ("1969-12-31", 0, 0),
        ]
        for text, first, last in cases:
            got = parse_date("not-before", text, 0), parse_date("not-after", text, 86400)
            self.assertEqual(got, (first, last), text)
        self.assertGreater(parse_date("not-after", "9999-12-31", 86400), 0)

    def test_what_is_no_date_is_refused(self):
        for text in [
            "", "2027", "2027-1-31", "31.1.2027", "2027-01-31T12:00:00", "tomorrow",
            "2027-01-31T25:00:00Z", "2027-01-31T12:60:00Z", "2027-01-31T12:00:00+24:00",
            "+2027-01-31", "20270131", "2027-01-31Z", "99999-01-01", "\uff12027-01-31",
        ]:  # fmt: skip
            with self.subTest(text), self.assertRaises(errors.KeyFileError):
                parse_date("not-after", text, 86400)

    def test_no_secret_is_shown(self):
        key = Key("garden", b"sixteen bytes or more")
        self.assertNotIn("sixteen", repr(key) + repr(KeyRing([key])) + str(key))


class Files(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory()
        self.addCleanup(self.directory.cleanup)
        self.path = os.path.join(self.directory.name, "keys")

    def write(self, text=b"garden text:sixteen-bytes-or-more\n", mode=0o600):
        with open(self.path, "wb") as file:
            file.write(text)
        os.chmod(self.path, mode)

    def refuses(self, text):
        with self.assertRaises(errors.KeyFileError) as caught:
            KeyRing.from_file(self.path)
        self.assertIn(f"{self.path}: {text}", str(caught.exception))

    def test_a_file_that_only_its_owner_reads_is_trusted(self):
        self.write()
        self.assertEqual([key.id for key in KeyRing.from_file(self.path)], [b"garden"])

    def test_other_files_are_not(self):
        self.refuses("no such file; `python -m countersign keygen")
        for mode in (0o604, 0o602, 0o666):
            self.write(mode=mode)
            self.refuses(f"others have access to it (mode {mode:03o}); `chmod 600` it")
        self.write(b"# nothing\n")
        self.refuses("holds no key; add one")
        self.write("garden text:sixteen-bytes".encode("utf-16"))
        self.refuses("is UTF-16 text")
        self.write(bytes(1 << 20) + b"\n")
        self.refuses("is larger than 1 MiB")
        self.write(b"garden text:s3cret\n")
        self.refuses("line 1: the secret has fewer")
        os.remove(self.path)
        os.mkdir(self.path)
        self.refuses("is not a regular file")

    @unittest.skipUnless(hasattr(os, "geteuid") and os.geteuid() == 0, "only root can give away")
    def test_a_file_of_another_user_is_not_trusted(self):
        self.write()
        os.chown(self.path, 12345, 0)
        self.refuses("belongs to the user 12345")
        # Root lends its file to a group of this process.
        os.chown(self.path, 0, os.getegid())
        os.chmod(self.path, 0o640)
        self.assertEqual(len(KeyRing.from_file(self.path).keys), 1)
        os.chown(self.path, 0, 12345)
        self.refuses("others have access to it (mode 640)")

    def test_a_pipe_is_read_to_its_end(self):
        os.mkfifo(self.path, 0o600)
        with unittest.mock.patch("countersign.files.PIPE_TIMEOUT", 0.1):
            self.refuses("no data arrives from this pipe")
        for parts in ([b"garden text:sixteen-", b"bytes-or-more\n"], [bytes(1 << 20), b"##"]):
            writer = threading.Thread(target=self.write_pipe, args=(parts,))
            reader = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)
            writer.start()
            with unittest.mock.patch("countersign.files.PIPE_TIMEOUT", 600):
                if len(parts[0]) > 100:
                    self.refuses("is larger than 1 MiB")
                else:
                    self.assertEqual(len(KeyRing.from_file(self.path).keys), 1)
            os.close(reader)
            writer.join()

    def write_pipe(self, parts):
        with contextlib.suppress(BrokenPipeError), open(self.path, "wb", buffering=0) as pipe:
            for part in parts:
                pipe.write(part)

    def test_a_pipe_whose_writer_is_gone_already_has_an_end(self):
        os.mkfifo(self.path, 0o600)
        reader = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, reader)
        self.write_pipe([b"garden text:sixteen-bytes-or-more\n"])
        with unittest.mock.patch("countersign.files.PIPE_TIMEOUT", 600):
            self.assertEqual(len(KeyRing.from_file(self.path).keys), 1)

    def test_a_pipe_that_does_not_end_is_given_up(self):
        os.mkfifo(self.path, 0o600)
        descriptor = os.open(self.path, os.O_RDWR)
        self.addCleanup(os.close, descriptor)
        os.write(descriptor, b"garden text:sixteen-bytes-or-more\n")
        with unittest.mock.patch("countersign.files.PIPE_TIMEOUT", 0.1):
            self.refuses("the end of this pipe did not come")

    def test_fresh_keys_are_added(self):
        path = os.path.join(self.directory.name, "new", "keys")
        first = add_key(path, "garden")
        second = add_key(path, "gate", ["dialects=raw,hex", "not-after=2099-01-01"])
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        self.assertEqual(os.listdir(os.path.dirname(path)), ["keys"])
        ring = KeyRing.from_file(path)
        prints = [key.fingerprint() for key in ring]
        self.assertEqual(prints, [first.fingerprint(), second.fingerprint()])
        self.assertEqual(ring.keys[1].dialects, ("raw", "hex"))
        with open(path) as file:
            self.assertTrue(file.readline().startswith("# Keys, one a line"))

    def test_a_key_is_added_to_a_file_behind_a_link_and_without_a_line_feed(self):
        self.write(b"garden text:sixteen-bytes-or-more")
        link = self.path + ".link"
        os.symlink(self.path, link)
        add_key(link, "gate")
        self.assertTrue(os.path.islink(link))
        self.assertEqual([key.id for key in KeyRing.from_file(self.path)], [b"garden", b"gate"])

    def test_what_cannot_be_added_leaves_the_file_alone(self):
        self.write()
        with open(self.path, "rb") as file:
            before = file.read()
        for key_id, options in [
            ("garden", []), ("two words", []), ("#gate", []), ("gate", ["audience=a b"]),
            ("gate", ["dialects=rot13"]), ("", []),
        ]:  # fmt: skip
            with self.subTest(key_id), self.assertRaises(errors.ConfigError):
                add_key(self.path, key_id, options)
        self.write(mode=0o644)
        with self.assertRaisesRegex(errors.KeyFileError, "others have access"):
            add_key(self.path, "gate")
        with open(self.path, "rb") as file:
            self.assertEqual(file.read(), before)
        self.assertEqual(os.listdir(self.directory.name), ["keys"])

    def test_two_that_add_keys_wait_for_each_other(self):
        threads = [threading.Thread(target=add_key, args=(self.path, f"key{n}")) for n in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(len(KeyRing.from_file(self.path).keys), 20)

    def test_the_default_is_where_the_program_looks(self):
        with unittest.mock.patch.dict(os.environ, {"XDG_CONFIG_HOME": "/config"}):
            self.assertEqual(key_file.default_path(), "/config/countersign/keys")
        with unittest.mock.patch.dict(os.environ, {"XDG_CONFIG_HOME": "", "HOME": "/home/me"}):
            self.assertEqual(key_file.default_path(), "/home/me/.config/countersign/keys")
        self.write()
        with unittest.mock.patch.dict(os.environ, {"CREDENTIALS_DIRECTORY": self.directory.name}):
            self.assertEqual(key_file.default_path(), self.path)


if __name__ == "__main__":
    unittest.main()
