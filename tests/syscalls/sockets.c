/* Faults of sockets: what Linux may do to a program, and no more.
 *
 * Readiness is edge-triggered. A call that is cut short or told to come again, though there is
 * more, would lose an edge that Linux doesn't lose. So the descriptor is registered anew with
 * EPOLL_CTL_MOD: then Linux reports it once more if it is ready. A connection that is said to be
 * broken is broken: its peer receives a reset. Descriptors that the program has from elsewhere,
 * and those that are not in a poll, are left alone.
 */
#define _GNU_SOURCE
#include "faults.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* What is known of a descriptor. */
static struct descriptor {
    /* It is a stream, or listens for streams. */
    bool is_socket;
    /* It was said to be broken: nothing can be read or written any more. */
    bool is_broken;
    /* The poll that it is registered with, and how; 0 before. */
    int poll;
    struct epoll_event interest;
    /* Of a copy of a poll: what it is a copy of. */
    int copy_of;
} descriptors[DESCRIPTORS];

static struct descriptor *find(int fd) {
    static struct descriptor other;
    return fd >= 0 && fd < DESCRIPTORS ? &descriptors[fd] : &other;
}

static bool may_fail(int fd) {
    return find(fd)->is_socket && find(fd)->poll;
}

static void begin_socket(int fd, bool is_socket) {
    forget(fd);
    if (fd < 0 || fd >= DESCRIPTORS) return;
    descriptors[fd] = (struct descriptor){.is_socket = is_socket};
}

static int fail(int error) {
    errno = error;
    return -1;
}

/* Has Linux report the descriptor once more, if it is ready. */
static void report_again(int fd) {
    struct epoll_event interest = find(fd)->interest;
    ORIGINAL(epoll_ctl)(find(fd)->poll, EPOLL_CTL_MOD, fd, &interest);
}

/* Resets the connection, as its peer may. */
static int reset(int fd, int error) {
    struct sockaddr none = {.sa_family = AF_UNSPEC};
    if (ORIGINAL(connect)(fd, &none, sizeof none)) ORIGINAL(shutdown)(fd, SHUT_RDWR);
    socklen_t length = sizeof(int);
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &(int){0}, &length);
    find(fd)->is_broken = true;
    return fail(error);
}

/* A fault that ends a connection, and what the program is told. */
struct breach {
    enum fault fault;
    int error;
};

/* Whether a call that reads or writes has ended here; its result is -1 then, or 0 at the end of a
 * stream. If not, its length may be smaller. */
static bool ends_here(int fd, size_t *length, ssize_t *result, bool reads) {
    if (!may_fail(fd)) return false;
    if (find(fd)->is_broken) {
        *result = reads ? 0 : fail(EPIPE);
        return true;
    }
    static const struct breach breaches[2][2] = {
        {{WRITE_ECONNRESET, ECONNRESET}, {WRITE_EPIPE, EPIPE}},
        {{READ_ECONNRESET, ECONNRESET}, {READ_ETIMEDOUT, ETIMEDOUT}},
    };
    *result = -1;
    for (size_t at = 0; at < 2; at++) {
        const struct breach *breach = &breaches[reads][at];
        if (strikes(fd, breach->fault)) return reset(fd, breach->error), true;
    }
    if (!reads && strikes(fd, WRITE_ENOBUFS)) return fail(ENOBUFS), true;
    if (!reads && strikes(fd, WRITE_ENOMEM)) return fail(ENOMEM), true;
    if (strikes(fd, reads ? READ_EINTR : WRITE_EINTR)) return fail(EINTR), true;
    if (strikes(fd, reads ? READ_EAGAIN : WRITE_EAGAIN)) {
        report_again(fd);
        return fail(EAGAIN), true;
    }
    if (*length > 1 && strikes(fd, reads ? READ_SHORT : WRITE_SHORT)) {
        report_again(fd);
        *length = 1 + draw(fd, *length - 1);
    }
    return false;
}

ssize_t recv(int fd, void *into, size_t length, int flags) {
    ssize_t result;
    if (!(flags & MSG_PEEK) && ends_here(fd, &length, &result, true)) return result;
    return ORIGINAL(recv)(fd, into, length, flags);
}

ssize_t read(int fd, void *into, size_t length) {
    ssize_t result;
    if (ends_here(fd, &length, &result, true)) return result;
    if (file_ends_here(fd, &length, &result, true)) return result;
    return ORIGINAL(read)(fd, into, length);
}

ssize_t send(int fd, const void *from, size_t length, int flags) {
    ssize_t result;
    if (ends_here(fd, &length, &result, false)) return result;
    return ORIGINAL(send)(fd, from, length, flags);
}

ssize_t write(int fd, const void *from, size_t length) {
    ssize_t result;
    if (ends_here(fd, &length, &result, false)) return result;
    if (file_ends_here(fd, &length, &result, false)) return result;
    return ORIGINAL(write)(fd, from, length);
}

/* Of several buffers, a call that is cut short uses a part of the first. */
static ssize_t with_buffers(int fd, const struct iovec *buffers, int count, bool reads) {
    size_t first = count > 0 ? buffers[0].iov_len : 0, length = first;
    ssize_t result;
    if (ends_here(fd, &length, &result, reads)) return result;
    struct iovec part = {count > 0 ? buffers[0].iov_base : NULL, length};
    if (length < first) buffers = &part, count = 1;
    return reads ? ORIGINAL(readv)(fd, buffers, count) : ORIGINAL(writev)(fd, buffers, count);
}

ssize_t readv(int fd, const struct iovec *buffers, int count) {
    return with_buffers(fd, buffers, count, true);
}

ssize_t writev(int fd, const struct iovec *buffers, int count) {
    return with_buffers(fd, buffers, count, false);
}

int shutdown(int fd, int how) {
    if (may_fail(fd) && find(fd)->is_broken) return fail(ENOTCONN);
    if (may_fail(fd) && strikes(fd, SHUTDOWN_ENOTCONN)) return reset(fd, ENOTCONN);
    return ORIGINAL(shutdown)(fd, how);
}

/* Connections that were waiting and are gone, and what the program is told of them. */
static int lose_accepted(int listener, int fd) {
    static const struct breach breaches[] = {
        {ACCEPT_ECONNABORTED, ECONNABORTED}, {ACCEPT_EPROTO, EPROTO}, {ACCEPT_EPERM, EPERM}};
    for (size_t at = 0; at < sizeof breaches / sizeof *breaches; at++) {
        if (!strikes(listener, breaches[at].fault)) continue;
        struct linger at_once = {.l_onoff = 1};
        ORIGINAL(setsockopt)(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        ORIGINAL(close)(fd);
        return fail(breaches[at].error);
    }
    return fd;
}

int accept4(int fd, struct sockaddr *address, socklen_t *length, int flags) {
    static const struct breach shortages[] = {{ACCEPT_EINTR, EINTR},   {ACCEPT_EMFILE, EMFILE},
                                              {ACCEPT_ENFILE, ENFILE}, {ACCEPT_ENOBUFS, ENOBUFS},
                                              {ACCEPT_ENOMEM, ENOMEM}};
    bool is_polled = may_fail(fd);
    for (size_t at = 0; is_polled && at < sizeof shortages / sizeof *shortages; at++) {
        if (strikes(fd, shortages[at].fault)) return fail(shortages[at].error);
    }
    if (is_polled && strikes(fd, ACCEPT_EAGAIN)) {
        report_again(fd);
        return fail(EAGAIN);
    }
    int accepted = ORIGINAL(accept4)(fd, address, length, flags);
    if (accepted < 0) return accepted;
    begin_socket(accepted, true);
    return is_polled ? lose_accepted(fd, accepted) : accepted;
}

int socket(int domain, int type, int protocol) {
    static const struct breach shortages[] = {{SOCKET_EMFILE, EMFILE},
                                              {SOCKET_ENFILE, ENFILE},
                                              {SOCKET_ENOBUFS, ENOBUFS},
                                              {SOCKET_ENOMEM, ENOMEM}};
    bool is_stream = (type & ~(SOCK_NONBLOCK | SOCK_CLOEXEC)) == SOCK_STREAM && domain != AF_UNIX;
    for (size_t at = 0; is_stream && at < sizeof shortages / sizeof *shortages; at++) {
        if (strikes(NO_DESCRIPTOR, shortages[at].fault)) return fail(shortages[at].error);
    }
    int fd = ORIGINAL(socket)(domain, type, protocol);
    begin_socket(fd, is_stream);
    return fd;
}

int setsockopt(int fd, int level, int name, const void *value, socklen_t length) {
    /* It would take a fault of its own: to be reset or not. */
    bool lingers = level == SOL_SOCKET && name == SO_LINGER;
    if (find(fd)->is_socket && !lingers && strikes(fd, OPTION_ENOMEM)) return fail(ENOMEM);
    return ORIGINAL(setsockopt)(fd, level, name, value, length);
}

int connect(int fd, const struct sockaddr *to, socklen_t length) {
    static const struct breach failures[] = {{CONNECT_ECONNREFUSED, ECONNREFUSED},
                                             {CONNECT_ENETUNREACH, ENETUNREACH},
                                             {CONNECT_EADDRNOTAVAIL, EADDRNOTAVAIL}};
    if (!find(fd)->is_socket || to->sa_family != AF_INET) return ORIGINAL(connect)(fd, to, length);
    for (size_t at = 0; at < sizeof failures / sizeof *failures; at++) {
        if (strikes(fd, failures[at].fault)) return fail(failures[at].error);
    }
    struct sockaddr_in nobody = {.sin_family = AF_INET,
                                 .sin_port = htons(1),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (strikes(fd, CONNECT_LATE)) to = (struct sockaddr *)&nobody, length = sizeof nobody;
    int result = ORIGINAL(connect)(fd, to, length);
    bool goes_on = result && errno == EINPROGRESS;
    return goes_on && strikes(fd, CONNECT_EINTR) ? fail(EINTR) : result;
}

int close(int fd) {
    begin_socket(fd, false);
    set_file(fd, false);
    return ORIGINAL(close)(fd);
}

int fcntl(int fd, int command, ...) {
    va_list rest;
    va_start(rest, command);
    long argument = va_arg(rest, long);
    va_end(rest);
    int result = ORIGINAL(fcntl)(fd, command, argument);
    if (result >= 0 && (command == F_DUPFD || command == F_DUPFD_CLOEXEC)) {
        begin_socket(result, find(fd)->is_socket);
        find(result)->copy_of = find(fd)->copy_of ? find(fd)->copy_of : fd;
    }
    return result;
}

int epoll_ctl(int poll, int operation, int fd, struct epoll_event *interest) {
    if (find(fd)->is_socket && operation == EPOLL_CTL_ADD) {
        if (strikes(fd, WATCH_ENOMEM)) return fail(ENOMEM);
        if (strikes(fd, WATCH_ENOSPC)) return fail(ENOSPC);
    }
    int result = ORIGINAL(epoll_ctl)(poll, operation, fd, interest);
    if (result == 0 && operation != EPOLL_CTL_DEL) {
        find(fd)->poll = find(poll)->copy_of ? find(poll)->copy_of : poll;
        find(fd)->interest = *interest;
    }
    if (result == 0 && operation == EPOLL_CTL_DEL) find(fd)->poll = 0;
    return result;
}

/* One of the sockets in a poll; -1 if there is none. */
static int any_socket(int poll) {
    int chosen = -1;
    uint64_t count = 0;
    for (int fd = 0; fd < DESCRIPTORS; fd++) {
        if (may_fail(fd) && find(fd)->poll == poll && draw(poll, ++count) == 0) chosen = fd;
    }
    return chosen;
}

/* Reports a part of an event now, and leaves the rest for later. */
static void mask(int poll, struct epoll_event *event) {
    if (event->events & (EPOLLERR | EPOLLHUP)) return;
    for (int fd = 0; fd < DESCRIPTORS; fd++) {
        if (!may_fail(fd) || find(fd)->poll != poll) continue;
        if (find(fd)->interest.data.u64 != event->data.u64) continue;
        static const uint32_t parts[] = {EPOLLIN, EPOLLOUT, EPOLLIN | EPOLLOUT};
        uint32_t part = event->events & parts[draw(poll, 3)];
        if (!part || part == event->events || !strikes(poll, WAIT_MASKED)) return;
        event->events = part;
        report_again(fd);
        return;
    }
}

static void shuffle(int poll, struct epoll_event *events, int count) {
    for (int left = count; left > 1; left--) {
        uint64_t chosen = draw(poll, left);
        struct epoll_event last = events[left - 1];
        events[left - 1] = events[chosen];
        events[chosen] = last;
    }
}

int epoll_wait(int poll, struct epoll_event *events, int most, int timeout) {
    if (strikes(poll, WAIT_EINTR)) return fail(EINTR);
    /* What it doesn't take stays with the poll. */
    if (most > 1 && strikes(poll, WAIT_SPLIT)) most = 1;
    int spurious = most > 1 && strikes(poll, WAIT_SPURIOUS) ? any_socket(poll) : -1;
    int room = spurious < 0 ? most : most - 1;
    int count = ORIGINAL(epoll_wait)(poll, events, room, spurious < 0 ? timeout : 0);
    if (count < 0) return count;
    for (int at = 0; at < count; at++) mask(poll, &events[at]);
    if (spurious >= 0) {
        events[count].events = draw(poll, 2) ? EPOLLIN : EPOLLOUT;
        events[count++].data = find(spurious)->interest.data;
    }
    if (count > 1 && strikes(poll, WAIT_SHUFFLED)) shuffle(poll, events, count);
    return count;
}

/* Few bytes are no challenge, but what std seeds its hash tables with: it ends the process without
 * them. */
enum { HASH_KEYS = 16 };

ssize_t getrandom(void *into, size_t length, unsigned int flags) {
    if (length > HASH_KEYS) {
        if (strikes(NO_DESCRIPTOR, RANDOM_EIO)) return fail(EIO);
        if (strikes(NO_DESCRIPTOR, RANDOM_EINTR)) return fail(EINTR);
        if (strikes(NO_DESCRIPTOR, RANDOM_SHORT)) length = 1 + draw(NO_DESCRIPTOR, length - 1);
    }
    return ORIGINAL(getrandom)(into, length, flags);
}
