//! The network that the engine is given: sockets that listen and sockets of peers.

use std::io;

use countersign::engine::Net;
use countersign::{PeerAddress, PeerId};

use crate::failures::Admission;
use crate::link::{CHALLENGE, Link, millis};
use crate::multiprocessing;
use crate::oracle::Oracle;
use crate::world::{Shared, World};

/// The network that the engine is given.
pub(crate) struct SimNet(pub(crate) Shared);

/// The server's end of a link. Dropping it closes it.
pub(crate) struct Socket {
    link: usize,
    world: Shared,
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.world.borrow_mut().drop_socket(self.link);
    }
}

/// How long accepting must rest where the system has run out of something.
pub(crate) const PAUSE: u64 = 100;

impl Net for SimNet {
    type Socket = Socket;

    fn accept(&mut self, listen_socket: usize) -> io::Result<(Socket, PeerAddress)> {
        let link = self.0.borrow_mut().accept(listen_socket)?;
        let address = self.0.borrow().links[link].from;
        Ok((Socket { link, world: self.0.clone() }, address.into()))
    }

    fn watch(&mut self, socket: &mut Socket, peer: PeerId) -> io::Result<()> {
        self.0.borrow_mut().watch(socket.link, peer)
    }

    fn read(&mut self, socket: &mut Socket, into: &mut [u8]) -> io::Result<usize> {
        self.0.borrow_mut().read(socket.link, into)
    }

    fn write(&mut self, socket: &mut Socket, from: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(socket.link, from)
    }

    fn shutdown(&mut self, socket: &mut Socket) -> io::Result<()> {
        self.0.borrow_mut().shut(socket.link)
    }

    fn reset(&mut self, socket: &mut Socket) {
        let mut world = self.0.borrow_mut();
        world.work += 1;
        world.links[socket.link].lost = true;
    }

    fn random(&mut self, into: &mut [u8]) -> io::Result<()> {
        let mut world = self.0.borrow_mut();
        let often = world.setup.faults.random;
        if world.random.per_mille(often) {
            world.system_failed = true;
            return Err(number(libc::EIO));
        }
        world.random.fill(into);
        world.nonces.push(into.try_into().unwrap());
        Ok(())
    }
}

/// Whether all of a link's header was read.
fn link_is_located(link: &Link) -> bool {
    link.proxy_header.is_good && link.proxy_header_read == link.proxy_header.bytes.len()
}

fn number(error: i32) -> io::Error {
    io::Error::from_raw_os_error(error)
}

impl World {
    fn accept(&mut self, listen_socket: usize) -> io::Result<usize> {
        self.work += 1;
        self.settle();
        if self.stopping.is_some() {
            self.fail(None, format_args!("a server that stops accepts"));
        }
        let listener = self.listen_sockets[listen_socket].listener;
        if !self.has_room(listener) && !self.can_make_room(listener) {
            self.fail(None, format_args!("accepting at listener {listener}, which is full"));
        }
        if self.paused_since.is_some_and(|since| self.now < since + PAUSE) {
            self.fail(None, format_args!("accepting is tried again at once"));
        }
        if let Some(error) = self.accept_fault(listen_socket) {
            self.say(format_args!("accept at {listen_socket}: {error}"));
            return Err(error);
        }
        let Some(link) = self.listen_sockets[listen_socket].backlog.pop_front() else {
            self.listen_sockets[listen_socket].told = false;
            return Err(io::ErrorKind::WouldBlock.into());
        };
        if self.links[link].reset && self.random.per_mille(500) {
            self.links[link].done = true;
            return Err(number(libc::ECONNABORTED));
        }
        self.look_for_the_passed_over(listen_socket);
        self.paused_since = None;
        let is_trusted = self.terms(link).proxies.contains(self.links[link].from);
        let connection = &mut self.links[link];
        connection.socket.accepted = Some(self.now);
        connection.socket.in_admission = true;
        connection.socket.is_denied = connection.is_proxied && !is_trusted;
        self.say(format_args!("{link} is accepted"));
        if !self.links[link].is_proxied {
            self.locate(link);
        }
        Ok(link)
    }

    /// Whether a listener that is full has an unauthenticated connection that may be evicted.
    fn can_make_room(&self, listener: usize) -> bool {
        let grace = millis(self.setup.listeners[listener].limits.handshake_timeout / 10);
        self.unauthenticated_at(listener).any(|Link { socket, .. }| {
            let since = socket.waiting_since();
            socket.shut.is_none() && since.is_some_and(|since| self.now >= since + grace)
        })
    }

    /// It is known now where a link comes from, and so how it is to be received.
    fn locate(&mut self, number: usize) {
        self.settle();
        let (link, terms) = (&self.links[number], self.terms(number));
        let (address, failures) = (link.address, &self.model(number).failures);
        let admission = failures.admission(address.ip(), self.now, &terms.limits);
        let is_denied = !terms.access.permits(address);
        let Link { socket, is_proxied, .. } = &mut self.links[number];
        (socket.located, socket.admission, socket.in_admission) = (Some(self.now), admission, true);
        socket.is_denied = is_denied;
        if *is_proxied && admission == Admission::Accept {
            socket.begun = socket.accepted;
        }
        self.say(format_args!("{number} is located, to be received {admission:?}"));
    }

    /// Somebody who waits at another socket must not wait for ever for this one's sake.
    fn look_for_the_passed_over(&mut self, listen_socket: usize) {
        self.listen_sockets[listen_socket].passed_over = 0;
        for other in 0..self.listen_sockets.len() {
            let waits = &self.listen_sockets[other];
            if other != listen_socket && waits.has_caller() && self.has_room(waits.listener) {
                self.listen_sockets[other].passed_over += 1;
            }
        }
    }

    fn accept_fault(&mut self, listen_socket: usize) -> Option<io::Error> {
        if self.listen_sockets[listen_socket].gone || self.random.per_mille(self.setup.faults.gone)
        {
            self.losses += 1;
            self.lost_in = self.turn;
            self.listen_sockets[listen_socket].gone = true;
            self.listen_sockets[listen_socket].told = false;
            for link in std::mem::take(&mut self.listen_sockets[listen_socket].backlog) {
                self.links[link].lost = true;
            }
            return Some(number(libc::EINVAL));
        }
        let open = self.live().count();
        let error = if open >= self.setup.faults.descriptors {
            libc::EMFILE
        } else if self.random.per_mille(self.setup.faults.accept) {
            self.random.pick(&[
                libc::EINTR,
                libc::EPROTO,
                libc::EINTR,
                libc::ECONNABORTED,
                libc::EMFILE,
                libc::ENFILE,
                libc::ENOBUFS,
                libc::ENOMEM,
                9999,
            ])
        } else {
            return None;
        };
        if !matches!(error, libc::EINTR | libc::EPROTO | libc::ECONNABORTED) {
            self.paused_since = Some(self.now);
        }
        Some(number(error))
    }

    fn watch(&mut self, link: usize, peer: PeerId) -> io::Result<()> {
        let live = self.live_at(self.links[link].listener).count();
        if live > self.terms(link).limits.connections.max(self.model(link).occupancy.live) {
            self.fail(Some(link), format_args!("{live} connections are too many"));
        }
        self.check_watch(link);
        if self.random.per_mille(self.setup.faults.watch) {
            self.system_failed = true;
            return Err(number(libc::ENOSPC));
        }
        let watched = &mut self.links[link];
        (watched.socket.peer, watched.socket.in_admission) = (Some(peer), false);
        if !watched.is_proxied {
            watched.socket.begun = Some(self.now);
        }
        self.edge(link);
        Ok(())
    }

    fn read(&mut self, number: usize, into: &mut [u8]) -> io::Result<usize> {
        self.meet(number, true)?;
        let link = &mut self.links[number];
        let length = link.next_read(into.len());
        if length == 0 {
            (link.socket.told_readable, link.socket.told_urgent) = (false, false);
            if !link.ended {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            link.end_read = true;
            if link.socket.shut.is_none() {
                link.account.oracle.end();
            }
            self.say(format_args!("{number}: the end is read"));
            return Ok(0);
        }
        let front = length.min(link.proxy_header_arrived - link.proxy_header_read);
        into[..front].copy_from_slice(&link.proxy_header.bytes[link.proxy_header_read..][..front]);
        let behind = length - front;
        into[front..length].copy_from_slice(&link.said[link.read..][..behind]);
        // The server counts in units of 16 bytes.
        link.account.lingered +=
            if link.socket.shut.is_some() { length.next_multiple_of(16) } else { 0 };
        link.proxy_header_read += front;
        link.read += behind;
        // A short read has emptied the buffer; an end, or an urgent byte, that nobody was told of
        // has an event to come.
        let Link { socket, .. } = link;
        socket.told_readable &= length == into.len() || socket.told_ended || socket.told_urgent;
        self.say(format_args!("{number}: {length} bytes are read"));
        let is_located = link_is_located(&self.links[number]);
        if is_located && self.links[number].is_arriving() {
            self.locate(number);
        }
        if behind > 0 {
            self.account_for_read(number, &into[front..length]);
        }
        self.overtake(number);
        Ok(length)
    }

    fn write(&mut self, number: usize, from: &[u8]) -> io::Result<usize> {
        self.meet(number, false)?;
        if self.links[number].hung_up {
            self.links[number].reset = true;
            self.edge(number);
        }
        let room = self.room_out(number);
        let length = from.len().min(room);
        let link = &mut self.links[number];
        link.socket.told_writable = false;
        if length == 0 {
            link.socket.blocked.get_or_insert(self.now);
            link.socket.unsent_from.get_or_insert(link.written.len());
            self.say(format_args!("{number}: no room to write"));
            return Err(io::ErrorKind::WouldBlock.into());
        }
        link.socket.blocked = None;
        link.account.last_write = self.now;
        link.written.extend_from_slice(&from[..length]);
        self.check_written(number, length);
        let link = &mut self.links[number];
        if link.written.len() == link.account.due_length() && length == from.len() {
            link.socket.unsent_from = None;
        }
        self.say(format_args!("{number}: {length} bytes are written"));
        self.overtake(number);
        Ok(length)
    }

    fn shut(&mut self, number: usize) -> io::Result<()> {
        self.meet_dead(number, false)?;
        self.check_shut(number);
        self.links[number].socket.shut = Some(self.now);
        self.say(format_args!("{number}: we send the close record"));
        Ok(())
    }

    /// What can happen to any call on a socket.
    fn meet(&mut self, number: usize, reads: bool) -> io::Result<()> {
        let often = self.setup.faults.interrupt;
        if self.random.per_mille(often) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        self.meet_dead(number, reads)
    }

    fn meet_dead(&mut self, number: usize, reads: bool) -> io::Result<()> {
        self.work += 1;
        self.begin_late(number);
        let turn = self.turn;
        let link = &mut self.links[number];
        link.account.touched = turn;
        if !link.is_live() {
            self.fail(Some(number), format_args!("a socket that is closed is used"));
        }
        // Of a balancer's connection the header alone is read before.
        let is_awaited = reads && self.links[number].is_arriving();
        if self.links[number].socket.begun.is_none() && !is_awaited {
            self.fail(Some(number), format_args!("it is not greeted yet, and used"));
        }
        // Who is written to has been received, and so has everybody else once one is read from. But
        // what is left of one that is evicted is read before another takes its place.
        if !reads {
            self.links[number].socket.in_admission = false;
        } else if self.links[number].socket.shut.is_none() {
            let others = self.links.iter_mut().enumerate().filter(|(other, _)| *other != number);
            others.for_each(|(_, link)| link.socket.in_admission = false);
        }
        if self.links[number].reset {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        Ok(())
    }

    /// The client is faster than we are: it has its step before our call returns.
    fn overtake(&mut self, number: usize) {
        let often = self.setup.faults.overtake;
        if self.random.per_mille(often) && !self.links[number].done {
            self.step(number);
        }
    }

    fn drop_socket(&mut self, number: usize) {
        self.work += 1;
        // Who has to go before new connections has gone before its greeting was due.
        if !self.may_be_evicted(&self.links[number]) {
            self.begin_late(number);
        }
        self.check_drop(number);
        self.note_failure(number);
        let link = &mut self.links[number];
        link.socket.dropped = Some(self.now);
        // What the server has not read when it closes resets the connection.
        link.lost |= link.waiting() > 0;
        self.paused_since = None;
        self.say(format_args!("{number}: the socket is closed"));
    }

    /// The greeting of a link that a balancer has brought was put off until now. A server that
    /// stops greets nobody any more whom it has put off.
    pub(crate) fn begin_late(&mut self, number: usize) {
        let delay = millis(self.terms(number).limits.failure_delay);
        let link = &mut self.links[number];
        let is_due = link.socket.located.is_some_and(|located| self.now >= located + delay);
        let is_put_off = link.is_proxied && link.is_live() && link.is_put_off();
        if is_put_off && !link.socket.is_denied && is_due && self.stopping.is_none() {
            link.socket.begun = Some(self.now);
        }
    }

    /// Who was accepted before now has been received or turned away.
    pub(crate) fn settle(&mut self) {
        self.has_evicted = false;
        for link in &mut self.links {
            link.socket.in_admission = false;
        }
    }

    /// A wrong proof counts when it has cost its sender the connection.
    fn note_failure(&mut self, number: usize) {
        let is_proved = self.is_proved(number);
        let Self { setup, links, models, now, .. } = self;
        let link = &links[number];
        let (terms, model) = (&setup.listeners[link.listener], &mut models[link.listener]);
        let is_inside = link.account.opened.is_some();
        // Nobody is asked in silence.
        let was_asked = link.socket.begun.is_some() && !link.socket.in_admission;
        if !is_inside && was_asked && link.has_failed(is_proved) {
            model.failures.add(link.address.ip(), *now, &terms.limits, &terms.config);
        }
    }

    fn account_for_read(&mut self, number: usize, bytes: &[u8]) {
        let (now, has_said_bye) = (self.now, self.links[number].socket.shut.is_some());
        if !has_said_bye {
            let bytes = match self.links[number].account.opened {
                None => self.read_python(number, bytes),
                Some(_) => bytes,
            };
            let account = &mut self.links[number].account;
            account.last_read = now;
            let whole = |oracle: &Oracle| (oracle.messages.len(), oracle.records);
            let (before, was_partial) = (whole(&account.oracle), account.oracle.is_partial());
            account.oracle.read(bytes);
            if !was_partial || whole(&account.oracle) != before {
                account.partial_since = Some(now);
            }
        }
    }

    /// A challenge that was drawn for this connection alone, and then what it is due.
    fn check_written(&mut self, number: usize, length: usize) {
        if self.links[number].mutual.is_some() {
            self.expect_mutual(number);
        }
        let authenticates = self.terms(number).config.dialect().authenticates();
        let Self { links, nonces, .. } = self;
        let link = &mut links[number];
        let start = link.written.len() - length;
        let is_challenged = authenticates && link.mutual.is_none();
        let challenge = match link.python {
            Some(_) => multiprocessing::CHALLENGE,
            None if is_challenged => CHALLENGE,
            None => 0,
        };
        if start < challenge && link.account.due.len() < challenge {
            let front = &link.written[..link.written.len().min(challenge)];
            let made = |nonce: &[u8; CHALLENGE]| match &mut link.python {
                Some(python) => python.challenge(nonce),
                None => nonce.to_vec(),
            };
            let mut made = nonces.iter().map(made);
            let Some((place, due)) = (0..).zip(&mut made).find(|(_, due)| due.starts_with(front))
            else {
                return self.fail(Some(number), format_args!("not a challenge is written"));
            };
            nonces.swap_remove(place);
            link.account.due.extend(due);
        }
        self.unflip(number, start);
        let link = &self.links[number];
        let due = link.account.due.get(start..link.written.len());
        if due != Some(&link.written[start..]) {
            let what = link.written[start..].escape_ascii().to_string();
            self.fail(Some(number), format_args!("what is not due is written: {what}"));
        }
        self.read_early(number);
    }
}
