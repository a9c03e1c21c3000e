/* Faults of files: of those in one folder, which the test names. */
#define _GNU_SOURCE
#include "faults.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Whether a descriptor is one of them. */
static bool is_file[DESCRIPTORS];

static int fail(int error) {
    errno = error;
    return -1;
}

static bool may_fail(int fd) {
    return fd >= 0 && fd < DESCRIPTORS && is_file[fd];
}

void set_file(int fd, bool is_one) {
    if (fd >= 0 && fd < DESCRIPTORS) is_file[fd] = is_one;
}

static bool is_in_folder(const char *path) {
    const char *folder = getenv("COUNTERSIGN_FAULT_FOLDER");
    return folder && strncmp(path, folder, strlen(folder)) == 0;
}

/* Opens a file as `open` does: both of its names come here. */
static int open_file(const char *path, int flags, mode_t mode) {
    bool is_one = is_in_folder(path);
    if (is_one && strikes(NO_DESCRIPTOR, FILE_OPEN_EINTR)) return fail(EINTR);
    if (is_one && strikes(NO_DESCRIPTOR, FILE_OPEN_EMFILE)) return fail(EMFILE);
    if (is_one && strikes(NO_DESCRIPTOR, FILE_OPEN_EIO)) return fail(EIO);
    int fd = ORIGINAL(open)(path, flags, mode);
    set_file(fd, is_one);
    return fd;
}

/* The mode follows if a file may be made. */
static mode_t mode_of(int flags, va_list rest) {
    return flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;
}

int open(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = mode_of(flags, rest);
    va_end(rest);
    return open_file(path, flags, mode);
}

int open64(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = mode_of(flags, rest);
    va_end(rest);
    return open_file(path, flags | O_LARGEFILE, mode);
}

bool file_ends_here(int fd, size_t *length, ssize_t *result, bool reads) {
    if (!may_fail(fd)) return false;
    *result = -1;
    if (strikes(fd, reads ? FILE_READ_EINTR : FILE_WRITE_EINTR)) return fail(EINTR), true;
    if (strikes(fd, reads ? FILE_READ_EIO : FILE_WRITE_EIO)) return fail(EIO), true;
    if (!reads && strikes(fd, FILE_WRITE_ENOSPC)) return fail(ENOSPC), true;
    if (*length > 1 && strikes(fd, reads ? FILE_READ_SHORT : FILE_WRITE_SHORT)) {
        *length = 1 + draw(fd, *length - 1);
    }
    return false;
}

int fsync(int fd) {
    if (may_fail(fd) && strikes(fd, FILE_FSYNC_EIO)) return fail(EIO);
    return ORIGINAL(fsync)(fd);
}

int ftruncate64(int fd, off64_t length) {
    if (may_fail(fd) && strikes(fd, FILE_TRUNCATE_EIO)) return fail(EIO);
    return ORIGINAL(ftruncate64)(fd, length);
}

int fchmod(int fd, mode_t mode) {
    if (may_fail(fd) && strikes(fd, FILE_CHMOD_EPERM)) return fail(EPERM);
    return ORIGINAL(fchmod)(fd, mode);
}

int rename(const char *from, const char *to) {
    if (is_in_folder(to) && strikes(NO_DESCRIPTOR, FILE_RENAME_ENOSPC)) return fail(ENOSPC);
    return ORIGINAL(rename)(from, to);
}
