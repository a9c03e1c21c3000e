/* Faults of system calls, drawn from a seed. What faults.c does for sockets.c and files.c. */
#ifndef COUNTERSIGN_FAULTS_H
#define COUNTERSIGN_FAULTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Every fault: its name here, its name for the test, and how often it may occur: once in so many
 * calls at most. Those that end a connection are rare, or nothing else would be seen. */
#define FAULTS(FAULT) \
    FAULT(READ_SHORT, "read-short", 2) \
    FAULT(READ_EINTR, "read-eintr", 2) \
    FAULT(READ_EAGAIN, "read-eagain", 2) \
    FAULT(READ_ECONNRESET, "read-econnreset", 64) \
    FAULT(READ_ETIMEDOUT, "read-etimedout", 64) \
    FAULT(WRITE_SHORT, "write-short", 2) \
    FAULT(WRITE_EINTR, "write-eintr", 2) \
    FAULT(WRITE_EAGAIN, "write-eagain", 2) \
    FAULT(WRITE_ECONNRESET, "write-econnreset", 64) \
    FAULT(WRITE_EPIPE, "write-epipe", 64) \
    FAULT(WRITE_ENOBUFS, "write-enobufs", 64) \
    FAULT(WRITE_ENOMEM, "write-enomem", 64) \
    FAULT(SHUTDOWN_ENOTCONN, "shutdown-enotconn", 4) \
    FAULT(ACCEPT_EINTR, "accept-eintr", 2) \
    FAULT(ACCEPT_EAGAIN, "accept-eagain", 2) \
    FAULT(ACCEPT_ECONNABORTED, "accept-econnaborted", 4) \
    FAULT(ACCEPT_EPROTO, "accept-eproto", 4) \
    FAULT(ACCEPT_EPERM, "accept-eperm", 4) \
    FAULT(ACCEPT_EMFILE, "accept-emfile", 8) \
    FAULT(ACCEPT_ENFILE, "accept-enfile", 8) \
    FAULT(ACCEPT_ENOBUFS, "accept-enobufs", 8) \
    FAULT(ACCEPT_ENOMEM, "accept-enomem", 8) \
    FAULT(SOCKET_EMFILE, "socket-emfile", 8) \
    FAULT(SOCKET_ENFILE, "socket-enfile", 8) \
    FAULT(SOCKET_ENOBUFS, "socket-enobufs", 8) \
    FAULT(SOCKET_ENOMEM, "socket-enomem", 8) \
    FAULT(OPTION_ENOMEM, "option-enomem", 16) \
    FAULT(CONNECT_EINTR, "connect-eintr", 2) \
    FAULT(CONNECT_ECONNREFUSED, "connect-econnrefused", 8) \
    FAULT(CONNECT_ENETUNREACH, "connect-enetunreach", 8) \
    FAULT(CONNECT_EADDRNOTAVAIL, "connect-eaddrnotavail", 8) \
    FAULT(CONNECT_LATE, "connect-refused-later", 8) \
    FAULT(WATCH_ENOMEM, "watch-enomem", 8) \
    FAULT(WATCH_ENOSPC, "watch-enospc", 8) \
    FAULT(WAIT_EINTR, "wait-eintr", 2) \
    FAULT(WAIT_SPLIT, "wait-split", 2) \
    FAULT(WAIT_SHUFFLED, "wait-shuffled", 1) \
    FAULT(WAIT_MASKED, "wait-masked", 2) \
    FAULT(WAIT_SPURIOUS, "wait-spurious", 2) \
    FAULT(RANDOM_EINTR, "random-eintr", 2) \
    FAULT(RANDOM_SHORT, "random-short", 2) \
    FAULT(RANDOM_EIO, "random-eio", 4) \
    FAULT(FILE_OPEN_EINTR, "file-open-eintr", 2) \
    FAULT(FILE_OPEN_EMFILE, "file-open-emfile", 8) \
    FAULT(FILE_OPEN_EIO, "file-open-eio", 8) \
    FAULT(FILE_READ_SHORT, "file-read-short", 2) \
    FAULT(FILE_READ_EINTR, "file-read-eintr", 2) \
    FAULT(FILE_READ_EIO, "file-read-eio", 8) \
    FAULT(FILE_WRITE_SHORT, "file-write-short", 2) \
    FAULT(FILE_WRITE_EINTR, "file-write-eintr", 2) \
    FAULT(FILE_WRITE_EIO, "file-write-eio", 8) \
    FAULT(FILE_WRITE_ENOSPC, "file-write-enospc", 8) \
    FAULT(FILE_FSYNC_EIO, "file-fsync-eio", 4) \
    FAULT(FILE_TRUNCATE_EIO, "file-truncate-eio", 4) \
    FAULT(FILE_CHMOD_EPERM, "file-chmod-eperm", 4) \
    FAULT(FILE_RENAME_ENOSPC, "file-rename-enospc", 4)

enum fault {
#define FAULT(fault, name, most) fault,
    FAULTS(FAULT)
#undef FAULT
        FAULT_COUNT
};

/* Descriptors from here on have no faults. */
enum { DESCRIPTORS = 1 << 12 };

/* The descriptor of calls that have none. */
enum { NO_DESCRIPTOR = 0 };

/* Whether a fault strikes this call. It is counted then. */
bool strikes(int fd, enum fault fault);

/* A number below a limit, the next of this descriptor. */
uint64_t draw(int fd, uint64_t limit);

/* A descriptor is new, or no longer there: it begins anew with what is drawn. */
void forget(int fd);

/* A descriptor is that of a file which may have faults, or isn't any longer. */
void set_file(int fd, bool is_one);

/* Whether a call that reads or writes such a file has ended here, with this result. If not, its
 * length may be smaller. */
bool file_ends_here(int fd, size_t *length, ssize_t *result, bool reads);

/* The function of this name that this one stands before. */
void *original(const char *name);

/* The same for a call. */
#define ORIGINAL(function) \
    ({ \
        static __typeof__(&function) found; \
        if (!found) found = (__typeof__(&function))original(#function); \
        found; \
    })

#endif
