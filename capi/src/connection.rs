//! The protocol of one connection, without a socket.

use std::ffi::c_char;
use std::ptr;
use std::sync::Mutex;

use countersign::session::Event;
use countersign::{Exporter, FrameFormat, Refusal, Session, clock, random, unix_time};

use crate::client::put_bytes;
use crate::pointers::{bytes, exclusive, make, put, release, shared, text};
use crate::service::put_secret;
use crate::session_config::cs_session_config;
use crate::status::{CallError, cs_failure, cs_status, enter, run, value};

/// The protocol of one connection, at either end, without a socket: you move the bytes.
///
/// Give everything that arrives to cs_connection_process(), until it finds CS_INPUT_WAIT, and at
/// first nothing; then send what cs_connection_output() has. It may be called by one thread at a
/// time.
pub struct cs_connection {
    inner: Mutex<Inner>,
}

/// What one call at a time may use.
struct Inner {
    session: Session,
    /// What is to be sent, of which the first `sent` bytes have been.
    out: Vec<u8>,
    sent: usize,
    /// The message that has arrived last, and the format of a reply to it.
    message: Vec<u8>,
    form: Option<FrameFormat>,
    /// The id of the key that the other end holds, with a NUL; empty if there is none.
    key: Vec<u8>,
    exporter: Option<Exporter>,
}

/// What cs_connection_process() has found.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum cs_input_event {
    /// All of the input was taken. Give it more when more has arrived.
    CS_INPUT_WAIT = 0,
    /// The handshake is over. Messages may be sent.
    CS_INPUT_OPEN,
    /// A message has arrived: see cs_connection_message().
    CS_INPUT_MESSAGE,
    /// Something else has arrived, and was answered.
    CS_INPUT_CONTROL,
    /// The other end sends no more messages. Send what is due, call cs_connection_finish(), send
    /// the output, and close the socket.
    CS_INPUT_FINISHED,
    /// Nothing follows that this connection is for. Send the output, and close the socket.
    CS_INPUT_END,
}

impl Inner {
    fn new(session: Session) -> Self {
        Self {
            session,
            out: Vec::new(),
            sent: 0,
            message: Vec::new(),
            form: None,
            key: Vec::new(),
            exporter: None,
        }
    }

    fn process(&mut self, input: &mut &[u8]) -> Result<cs_input_event, CallError> {
        self.forget_sent();
        let now = unix_time::since_epoch(clock::wall());
        let Some(event) = self.session.process(now, input, &mut self.out)? else {
            return Ok(cs_input_event::CS_INPUT_WAIT);
        };
        Ok(match event {
            Event::Open(opened) => {
                let id = opened.key.map(|key| key.id().as_bytes());
                self.key = id.map_or_else(Vec::new, |id| [id, b"\0"].concat());
                self.exporter = opened.exporter;
                cs_input_event::CS_INPUT_OPEN
            }
            Event::Message(message) => {
                self.message.clear();
                self.message.extend_from_slice(message.bytes);
                self.form = Some(message.form);
                cs_input_event::CS_INPUT_MESSAGE
            }
            Event::Finished => cs_input_event::CS_INPUT_FINISHED,
            Event::End => cs_input_event::CS_INPUT_END,
            _ => cs_input_event::CS_INPUT_CONTROL,
        })
    }

    /// The end of the stream may be the end of a message.
    fn input_ended(&mut self) -> Result<cs_input_event, CallError> {
        let Some(message) = self.session.input_ended()? else {
            return Ok(cs_input_event::CS_INPUT_END);
        };
        self.message.clear();
        self.message.extend_from_slice(message.bytes);
        self.form = Some(message.form);
        Ok(cs_input_event::CS_INPUT_MESSAGE)
    }

    fn forget_sent(&mut self) {
        self.out.drain(..self.sent);
        self.sent = 0;
    }
}

/// Uses a connection for one call.
///
/// # Safety
///
/// It is null, or one of ours that is not freed meanwhile.
unsafe fn with<R>(
    connection: *const cs_connection,
    call: impl FnOnce(&mut Inner) -> Result<R, CallError>,
) -> Result<R, CallError> {
    // SAFETY: the caller says so.
    let connection = unsafe { shared(connection) }?;
    call(&mut *enter(&connection.inner)?)
}

/// Begins the client's end. On success, *connection is yours to free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_connection_client(
    config: *const cs_session_config,
    connection: *mut *mut cs_connection,
    why: *mut cs_failure,
) -> cs_status {
    // SAFETY: by the header, the configuration is one of ours that nobody changes, and the other
    // two are places to write to.
    unsafe {
        run(why, || {
            make(connection, || {
                let now = unix_time::since_epoch(clock::wall());
                let session = Session::client(shared(config)?.client()?, now, random::bytes()?)?;
                Ok(cs_connection { inner: Mutex::new(Inner::new(session)) })
            })
        })
    }
}

/// Begins the server's end. On success, *connection is yours to free.
///
/// Bound its time yourself: five seconds for the handshake, and then what suits you.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_connection_server(
    config: *const cs_session_config,
    connection: *mut *mut cs_connection,
    why: *mut cs_failure,
) -> cs_status {
    // SAFETY: by the header, the configuration is one of ours that nobody changes, and the other
    // two are places to write to.
    unsafe {
        run(why, || {
            make(connection, || {
                let session = Session::server(shared(config)?.server()?, random::bytes()?);
                Ok(cs_connection { inner: Mutex::new(Inner::new(session)) })
            })
        })
    }
}

/// Takes from the front of the input, and says in *event what it has found. *input and *length are
/// moved behind what was taken. The input is only read, and needed during the call alone.
///
/// If it fails, send the output, which may tell the other end why, and close the socket: each later
/// call fails, too.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_connection_process(
    connection: *mut cs_connection,
    input: *mut *const u8,
    length: *mut usize,
    event: *mut cs_input_event,
    why: *mut cs_failure,
) -> cs_status {
    // SAFETY: by the header, the connection is one of ours, there are so many bytes of input, and
    // the other two are places to write to.
    unsafe {
        run(why, || {
            let (input, length) = (exclusive(input)?, exclusive(length)?);
            let mut left = bytes(*input, *length)?;
            let found = with(connection, |inner| inner.process(&mut left));
            if !input.is_null() {
                *input = input.add(*length - left.len());
            }
            *length = left.len();
            put(event, found?)
        })
    }
}

/// Tells the connection that the other end has ended its stream. *event is CS_INPUT_MESSAGE if that
/// was the end of a last message, or CS_INPUT_END. It fails if messages may be missing.
///
/// A connection that was reset or lost has not ended its stream: free it instead, or without
/// records a part of a message may look whole.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_connection_input_ended(
    connection: *mut cs_connection,
    event: *mut cs_input_event,
    why: *mut cs_failure,
) -> cs_status {
    // SAFETY: by the header, the connection is one of ours, and the other two are places to write
    // to.
    unsafe { run(why, || put(event, with(connection, Inner::input_ended)?)) }
}

/// The message that has arrived last. *message is the connection's, and valid until its next
/// cs_connection_process() or cs_connection_input_ended().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_connection_message(
    connection: *const cs_connection,
    message: *mut *const u8,
    length: *mut usize,
) -> cs_status {
    // SAFETY: by the header, the connection is one of ours, and the other two are places to write
    // to.
    unsafe {
        run(ptr::null_mut(), || {
            with(connection, |inner| put_bytes(message, length, &inner.message))
        })
    }
}

/// The id of the key: at a server, the one that the client holds; at a client, its own. NULL before
/// the handshake is over. Valid until the connection is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_connection_key(connection: *const cs_connection) -> *const c_char {
    let key = |inner: &mut Inner| match inner.key.as_slice() {
        [] => Ok(ptr::null()),
        key => Ok(key.as_ptr().cast()),
    };
    // SAFETY: by the header, the connection is one of ours, or null.
    value(ptr::null(), || unsafe { with(connection, key) })
}

/// Sends a message: it is added to the output. CS_ERR_CLOSED if the handshake is not over, or the
/// connection has ended.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_connection_send(
    connection: *mut cs_connection,
    message: *const u8,
    length: usize,
    why: *mut cs_failure,
) -> cs_status {
    // SAFETY: by the header, the connection is one of ours, there are so many bytes, and `why` is a
    // place to write to.
    unsafe {
        run(why, || {
            let message = bytes(message, length)?;
            with(connection, |inner| Ok(inner.session.send(message, &mut inner.out)?))
        })
    }
}

/// The same for a reply to the message that has arrived last: in the framing "lines", it ends as
/// that message did.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_connection_reply(
    connection: *mut cs_connection,
    message: *const u8,
    length: usize,
    why: *mut cs_failure,
) -> cs_status {
    // SAFETY: by the header, the connection is one of ours, there are so many bytes, and `why` is a
    // place to write to.
    unsafe {
        run(why, || {
            let message = bytes(message, length)?;
            with(connection, |inner| match inner.form {
                Some(form) => Ok(inner.session.reply(form, message, &mut inner.out)?),
                None => Err(CallError::argument("there is no message to reply to")),
            })
        })
    }
}

/// Says that no message follows. Send the output, then end your stream.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_connection_finish(connection: *mut cs_connection) -> cs_status {
    // SAFETY: by the header, the connection is one of ours.
    unsafe {
        run(ptr::null_mut(), || {
            with(connection, |inner| {
                inner.session.finish(&mut inner.out);
                Ok(())
            })
        })
    }
}

/// Ends the connection because its time is over: the output tells the other end. Send it, and close
/// the socket.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_connection_time_out(connection: *mut cs_connection) -> cs_status {
    let close = |inner: &mut Inner| {
        inner.session.close(Refusal::HandshakeTimeout, &mut inner.out);
        Ok(())
    };
    // SAFETY: by the header, the connection is one of ours.
    unsafe { run(ptr::null_mut(), || with(connection, close)) }
}

/// What is to be sent. *output is the connection's, and valid until its next call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_connection_output(
    connection: *const cs_connection,
    output: *mut *const u8,
    length: *mut usize,
) -> cs_status {
    // SAFETY: by the header, the connection is one of ours, and the other two are places to write
    // to.
    unsafe {
        run(ptr::null_mut(), || {
            with(connection, |inner| put_bytes(output, length, &inner.out[inner.sent..]))
        })
    }
}

/// Says that the first bytes of the output were sent, so many.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_connection_sent(
    connection: *mut cs_connection,
    length: usize,
) -> cs_status {
    let sent = |inner: &mut Inner| {
        if length > inner.out.len() - inner.sent {
            return Err(CallError::argument("there was less to send"));
        }
        inner.sent += length;
        if inner.sent == inner.out.len() {
            inner.forget_sent();
        }
        Ok(())
    };
    // SAFETY: by the header, the connection is one of ours.
    unsafe { run(ptr::null_mut(), || with(connection, sent)) }
}

/// Derives the secret of this label, of 32 bytes, which only the two ends of this connection can
/// derive. CS_ERR_UNSUPPORTED before the handshake of countersign/1 is over.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_connection_secret(
    connection: *const cs_connection,
    label: *const c_char,
    secret: *mut u8,
) -> cs_status {
    // SAFETY: by the header, the connection is one of ours, the label is a text, and there is room
    // for 32 bytes.
    unsafe {
        run(ptr::null_mut(), || {
            let label = text(label)?.as_bytes();
            let exported = |inner: &mut Inner| {
                Ok(inner.exporter.as_ref().map(|exporter| exporter.secret(label)))
            };
            put_secret(with(connection, exported)?, secret)
        })
    }
}

/// Frees a connection. NULL is allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cs_connection_free(connection: *mut cs_connection) {
    // SAFETY: by the header, it is one of ours that nobody uses any more, or null.
    unsafe { release(connection) };
}
