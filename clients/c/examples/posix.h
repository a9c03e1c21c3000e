/*
 * What the examples need of POSIX: sockets with deadlines, random bytes, and a key from a command
 * line. Nothing here is about the protocol.
 */
#define _POSIX_C_SOURCE 200809L

#include "../countersign.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

/* The longest that an end waits for the other one. */
static const struct timeval PATIENCE = { 30, 0 };

static inline int failed(const char *why)
{
    fprintf(stderr, "error: %s\n", why);
    return 1;
}

static inline int usage(const char *how)
{
    fprintf(stderr, "usage: %s\n", how);
    return 2;
}

/* Why a session has ended before it should. */
static inline const char *why(const struct cs_session *cs)
{
    static const char *const reasons[] = { "the connection was lost", "there was no room",
        "a message is too long", "the handshake was not over", "it speaks another protocol",
        "it is this program itself", "it does not hold the key", "it names an unknown key",
        "records are not agreed on", "there is no version in common", "its handshake is malformed",
        "a record is forged", "the stream was truncated", "it refuses" };

    return reasons[cs->error];
}

/* Random bytes from the system. */
static inline int draw(uint8_t *bytes, size_t length)
{
    int fd = open("/dev/urandom", O_RDONLY);
    ssize_t n = fd < 0 ? -1 : read(fd, bytes, length);

    if (fd >= 0)
        close(fd);
    return n == (ssize_t)length;
}

static inline int read_key(struct cs_key *key, const char *id, const char *hex,
                           const char *audience)
{
    /* Kept, because raw needs it. */
    static uint8_t secret[64];
    size_t i, length = strlen(hex) / 2;
    unsigned byte;

    if (length < 16 || length > sizeof secret)
        return 0;
    for (i = 0; i < length; i++) {
        if (sscanf(hex + 2 * i, "%2x", &byte) != 1)
            return 0;
        secret[i] = (uint8_t)byte;
    }
    key->id.data = (const uint8_t *)id;
    key->id.length = strlen(id);
    key->audience.data = (const uint8_t *)audience;
    key->audience.length = strlen(audience);
    key->secret.data = secret;
    key->secret.length = length;
    cs_key_init(key);
    return key->id.length >= 1 && key->id.length <= CS_NAME_MAX
        && key->audience.length <= CS_NAME_MAX;
}

/* Sends all that the session has to send. */
static inline int send_output(struct cs_session *cs, int fd)
{
    struct cs_bytes output = cs_output(cs);
    ssize_t n;

    for (; output.length > 0; output.data += n, output.length -= (size_t)n) {
        n = send(fd, output.data, output.length, MSG_NOSIGNAL);
        if (n <= 0)
            return 0;
    }
    return 1;
}

/* Waits for more bytes. Returns how many have come: 0 at the end of the stream, -1 if the
 * connection was lost. */
static inline ssize_t receive_input(int fd, struct cs_bytes *input, uint8_t *bytes, size_t size)
{
    ssize_t n = recv(fd, bytes, size, 0);

    input->data = bytes;
    input->length = n > 0 ? (size_t)n : 0;
    return n;
}

static inline int with_patience(int fd)
{
    if (fd >= 0) {
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &PATIENCE, sizeof PATIENCE);
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &PATIENCE, sizeof PATIENCE);
    }
    return fd;
}

static inline int dial(const char *host, const char *port)
{
    struct addrinfo hints, *found, *at;
    int fd = -1;

    memset(&hints, 0, sizeof hints);
    hints.ai_socktype = SOCK_STREAM;
    if (getaddrinfo(host, port, &hints, &found) != 0)
        return -1;
    for (at = found; at != NULL && fd < 0; at = at->ai_next) {
        fd = socket(at->ai_family, at->ai_socktype, at->ai_protocol);
        if (fd >= 0 && connect(fd, at->ai_addr, at->ai_addrlen) != 0) {
            close(fd);
            fd = -1;
        }
    }
    freeaddrinfo(found);
    return with_patience(fd);
}

/* Listens at this port of the machine itself, and prints which one it is: 0 means any. */
static inline int listen_at(const char *port)
{
    struct sockaddr_in address;
    socklen_t length = sizeof address;
    int on = 1, fd = socket(AF_INET, SOCK_STREAM, 0);

    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons((uint16_t)atoi(port));
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, 16) != 0
        || getsockname(fd, (struct sockaddr *)&address, &length) != 0)
        return -1;
    printf("listening on 127.0.0.1:%u\n", (unsigned)ntohs(address.sin_port));
    fflush(stdout);
    return fd;
}

static inline int accept_one(int listener)
{
    return with_patience(accept(listener, NULL, NULL));
}

/* Ends our stream, and reads a little of what is still under way, so that our last bytes arrive. */
static inline void hang_up(int fd)
{
    static const struct timeval second = { 1, 0 };
    char bytes[1024];
    int i;

    shutdown(fd, SHUT_WR);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof second);
    for (i = 0; i < 64 && recv(fd, bytes, sizeof bytes, 0) > 0; i++)
        continue;
    close(fd);
}
