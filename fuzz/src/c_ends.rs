//! The functions for C, without sockets: keys and configurations of any bytes, and two connections
//! that talk while somebody on the path changes what they say. `capi/tests/ends.rs` plays it too.

use std::ffi::{CStr, CString, c_char};
use std::{ptr, slice};

use countersign_capi::cs_input_event::{CS_INPUT_MESSAGE, CS_INPUT_OPEN, CS_INPUT_WAIT};
use countersign_capi::cs_status::{CS_ERR_ARGUMENT, CS_ERR_NONE, CS_ERR_PANICKED};
use countersign_capi::*;

use crate::choices::Choices;

/// What both ends hold.
const SECRET: [u8; 32] = [7; 32];

/// The rounds in which a handshake is made, and all of them.
const HANDSHAKE: usize = 8;
const ROUNDS: usize = 40;

/// Lets two ends talk as the input chooses. No call panics, and what nobody has changed arrives as
/// it was sent. Returns how many messages have arrived.
pub fn talk(data: &[u8]) -> usize {
    let mut input = Choices(data);
    let dialect = input.pick(&[c"countersign/1", c"raw", c"hex", c"multiprocessing", c"open"]);
    // Both have the same options.
    let mut options = input;
    let client = CEnd::new(false, dialect, &mut options);
    let mut ends = [client, CEnd::new(true, dialect, &mut input)];
    ends.iter_mut().for_each(|end| end.receive(&[]));
    let mut is_intact = true;
    for round in 0..ROUNDS {
        let from = if round < HANDSHAKE { round % 2 } else { input.below(2) };
        match input.below(16) {
            0..8 if round >= HANDSHAKE => {
                let length = input.below(64);
                ends[from].send(input.bytes(length));
            }
            8 => ends[from].finish(),
            _ => {}
        }
        let mut output = ends[from].output();
        if input.below(64) == 1 && !output.is_empty() {
            let at = usize::from(input.byte()) % output.len();
            output[at] ^= 1 << input.below(8);
            is_intact = false;
        }
        ends[1 - from].receive(&output);
    }
    for from in [0, 1] {
        let (sent, received) = (&ends[from].sent, &ends[1 - from].received);
        assert!(!is_intact || sent.starts_with(received), "{received:?} instead of {sent:?}");
    }
    ends.iter().map(|end| end.received.len()).sum()
}

/// Whether a call has succeeded. It must not have panicked.
fn is_done(status: cs_status) -> bool {
    assert!(status != CS_ERR_PANICKED);
    status == CS_ERR_NONE
}

/// A text of C, from the input.
fn text(input: &mut Choices<'_>) -> CString {
    let words = ["countersign/1", "raw", "hex", "multiprocessing", "open", "lines", "length"];
    let more = ["sealed", "required", "allowed", "off", "time", "k1", "md5", "once"];
    let known = words.len() + more.len();
    match input.below(known + 1) {
        any if any == known => {
            let length = input.below(80);
            let bytes = input.bytes(length).split(|byte| *byte == 0).next();
            CString::new(bytes.unwrap_or_default()).unwrap()
        }
        word => CString::new(*words.iter().chain(&more).nth(word).unwrap()).unwrap(),
    }
}

/// Keys: one that the other end has too, and what the input says.
fn keys(input: &mut Choices<'_>, dialect: *const c_char) -> *mut cs_keys {
    let (mut keys, mut read) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: all pointers are null, or to values that live as long as the calls.
    unsafe {
        assert!(is_done(cs_keys_new(&mut keys, ptr::null_mut())));
        let secret = SECRET.as_ptr();
        is_done(cs_keys_add(
            keys,
            c"k1".as_ptr(),
            secret,
            32,
            dialect,
            ptr::null(),
            ptr::null_mut(),
        ));
        if input.below(4) == 0 {
            let (id, audience, mut why) = (text(input), text(input), failure());
            let secret = input.bytes(20);
            let (data, length) = (secret.as_ptr(), secret.len());
            let (id, audience) = (id.as_ptr(), audience.as_ptr());
            is_done(cs_keys_add(keys, id, data, length, ptr::null(), audience, &mut why));
            // The text of an error ends within its room.
            let room = slice::from_raw_parts(why.message.as_ptr().cast::<u8>(), why.message.len());
            CStr::from_bytes_until_nul(room).unwrap().to_str().unwrap();
            let file = input.bytes(40);
            if !file.contains(&b':') || !file.starts_with(b"p") {
                is_done(cs_keys_from_text(file.as_ptr(), file.len(), &mut read, &mut why));
            }
            cs_keys_free(read);
        }
        assert!(cs_keys_count(keys) <= 2);
    }
    keys
}

fn failure() -> cs_failure {
    cs_failure { os_error: 0, message: [0; 508] }
}

/// A configuration, by the input. It is the caller's.
fn config(input: &mut Choices<'_>, dialect: &CStr) -> *mut cs_session_config {
    let (mut config, why) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: all pointers are null, or to values that live as long as the calls.
    unsafe {
        assert!(is_done(cs_session_config_new(&mut config, why)));
        assert!(is_done(cs_session_config_set_dialect(config, dialect.as_ptr(), why)));
        let keys = keys(input, dialect.as_ptr());
        assert!(is_done(cs_session_config_set_keys(config, keys, why)));
        cs_keys_free(keys);
        for _ in 0..input.below(4) {
            let word = text(input);
            let word = if input.below(16) == 0 { ptr::null() } else { word.as_ptr() };
            let status = match input.below(7) {
                0 => cs_session_config_set_framing(config, word, why),
                1 => cs_session_config_set_records(config, word, why),
                2 => cs_session_config_set_mac(config, word, why),
                3 => cs_session_config_set_exchange(config, word, why),
                4 => cs_session_config_add_audience(config, word, why),
                5 => cs_session_config_set_key(config, word, why),
                _ => cs_session_config_set_dialect(config, word, why),
            };
            assert!(!word.is_null() || status == CS_ERR_ARGUMENT);
            is_done(status);
        }
        is_done(cs_session_config_set_message_max(config, 1 << input.below(20), why));
    }
    config
}

/// One end: what it has sent and received.
#[derive(Debug)]
struct CEnd {
    /// Null, if the options can't be combined.
    connection: *mut cs_connection,
    sent: Vec<Vec<u8>>,
    received: Vec<Vec<u8>>,
    is_open: bool,
    is_over: bool,
}

impl CEnd {
    /// Begins it, with the options of the input.
    fn new(is_server: bool, dialect: &CStr, input: &mut Choices<'_>) -> Self {
        let config = config(input, dialect);
        let (mut connection, why) = (ptr::null_mut(), ptr::null_mut());
        // SAFETY: the configuration is ours, and the connection copies what it needs.
        unsafe {
            is_done(match is_server {
                true => cs_connection_server(config, &mut connection, why),
                false => cs_connection_client(config, &mut connection, why),
            });
            cs_session_config_free(config);
        }
        let (sent, received) = (Vec::new(), Vec::new());
        Self { connection, sent, received, is_open: false, is_over: false }
    }

    /// What is to be sent, which then counts as sent.
    fn output(&mut self) -> Vec<u8> {
        let (mut data, mut length) = (ptr::null(), 0);
        // SAFETY: the connection is ours or null, and the output is valid until the next call.
        unsafe {
            if !is_done(cs_connection_output(self.connection, &mut data, &mut length)) {
                return Vec::new();
            }
            let output = slice::from_raw_parts(data, length).to_vec();
            assert!(is_done(cs_connection_sent(self.connection, length)));
            assert!(cs_connection_sent(self.connection, 1) == CS_ERR_ARGUMENT);
            output
        }
    }

    fn send(&mut self, message: &[u8]) {
        let (data, length) = (message.as_ptr(), message.len());
        // SAFETY: the connection is ours or null, and there are so many bytes.
        let status = unsafe { cs_connection_send(self.connection, data, length, ptr::null_mut()) };
        if is_done(status) {
            assert!(self.is_open, "sent before the end of the handshake");
            self.sent.push(message.to_vec());
        }
    }

    /// Says that no message follows.
    fn finish(&mut self) {
        // SAFETY: the connection is ours or null.
        is_done(unsafe { cs_connection_finish(self.connection) });
    }

    /// Takes all of the input.
    fn receive(&mut self, input: &[u8]) {
        let (mut data, mut length) = (input.as_ptr(), input.len());
        let mut event = CS_INPUT_WAIT;
        // SAFETY: the connection is ours or null, there are so many bytes, and the message is valid
        // until the next call.
        unsafe {
            loop {
                let status = cs_connection_process(
                    self.connection,
                    &mut data,
                    &mut length,
                    &mut event,
                    ptr::null_mut(),
                );
                if !is_done(status) {
                    self.is_over = true;
                    return;
                }
                assert!(!self.is_over, "an event behind the failure");
                match event {
                    CS_INPUT_WAIT => break,
                    CS_INPUT_OPEN => self.is_open = true,
                    CS_INPUT_MESSAGE => {
                        let (mut message, mut size) = (ptr::null(), 0);
                        let connection = self.connection;
                        let status = cs_connection_message(connection, &mut message, &mut size);
                        assert!(is_done(status));
                        assert!(self.is_open, "a message before a proof");
                        self.received.push(slice::from_raw_parts(message, size).to_vec());
                    }
                    _ => {}
                }
            }
            assert!(length == 0 && data == input.as_ptr().add(input.len()));
            assert!(cs_connection_key(self.connection).is_null() || self.is_open);
        }
    }
}

impl Drop for CEnd {
    fn drop(&mut self) {
        // SAFETY: nobody uses it any more.
        unsafe { cs_connection_free(self.connection) };
    }
}
