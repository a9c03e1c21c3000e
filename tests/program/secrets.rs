//! What a server's memory holds of its keys' secrets: nothing.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;

use memchr::memmem;

use super::home::{Home, skip};

/// A ring with a secret, and its bytes as they are written and as they are.
const RINGS: [(&str, &[&[u8]]); 4] = [
    (
        "garden  passphrase:correct-horse-battery-staple  dialects=raw\n",
        &[b"correct-horse-battery-staple", &STRETCHED],
    ),
    (
        "shed  hex:c54c117e0263044679019cdcbc3c5de9b173a7e5354fc854b15d89ae36b2e255 \
         dialects=raw\n",
        &[b"c54c117e0263044679019cdcbc3c5de9", &STRETCHED],
    ),
    (
        "gate  base64:xUwRfgJjBEZ5AZzcvDxd6bFzp+U1T8hUsV2JrjayL+VV  dialects=raw\n",
        &[b"xUwRfgJjBEZ5AZzcvDxd6bFzp"],
    ),
    ("old  text:open-sesame-open-sesame  dialects=raw\n", &[b"open-sesame-open-sesame"]),
];

/// From Python's hashlib: 600,000 rounds of PBKDF2 of the first, with its id in the salt.
const STRETCHED: [u8; 32] = [
    0xc5, 0x4c, 0x11, 0x7e, 0x02, 0x63, 0x04, 0x46, 0x79, 0x01, 0x9c, 0xdc, 0xbc, 0x3c, 0x5d, 0xe9,
    0xb1, 0x73, 0xa7, 0xe5, 0x35, 0x4f, 0xc8, 0x54, 0xb1, 0x5d, 0x89, 0xae, 0x36, 0xb2, 0xe2, 0x55,
];

/// Which of these stand in the memory of a process, and where; none where it may not be read.
fn found(process: u32, secrets: &[&[u8]]) -> Option<Vec<String>> {
    let maps = fs::read_to_string(format!("/proc/{process}/maps")).ok()?;
    let memory = File::open(format!("/proc/{process}/mem")).ok()?;
    let mut found = Vec::new();
    let mut read = 0;
    for line in maps.lines().filter(|line| line.contains(" rw")) {
        let (from, rest) = line.split_once('-').unwrap();
        let from = u64::from_str_radix(from, 16).unwrap();
        let to = u64::from_str_radix(rest.split(' ').next().unwrap(), 16).unwrap();
        let mut bytes = vec![0; usize::try_from(to - from).unwrap()];
        // What isn't there can't be read, and holds no secret.
        let Ok(()) = memory.read_exact_at(&mut bytes, from) else { continue };
        read += bytes.len();
        let there = secrets.iter().filter(|secret| memmem::find(&bytes, secret).is_some());
        found.extend(there.map(|secret| format!("{} in {line}", secret.escape_ascii())));
    }
    (read > 0).then_some(found)
}

#[test]
fn no_secret_stays_in_memory_once_its_key_is_made() {
    for (ring, secrets) in RINGS {
        let home = Home::with_keys(ring);
        let server = home.serve("serve --service echo --dialect raw");
        match found(server.pid(), &[server.address().as_bytes()]) {
            None => return skip("the memory of other processes can't be read here"),
            Some(found) => assert!(!found.is_empty(), "it would be found"),
        }
        assert_eq!(found(server.pid(), secrets), Some(Vec::new()), "at start");
        server.signal("HUP");
        server.err.with("INFO  reloaded");
        assert_eq!(found(server.pid(), secrets), Some(Vec::new()), "after a reload");
    }
}
