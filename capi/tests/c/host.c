/*
 * A host whose callbacks do what they may not, and what they may: for tests, under AddressSanitizer
 * and valgrind.
 *
 *     host KEYFILE OTHER-KEYFILE
 *
 * It prints `listening on HOST:PORT`, answers each message with itself, and obeys some of them:
 * `keys` replaces the keys by the other ones and closes who has none of them, from within the
 * callback; `tell` has the first connection told something after the turn; `close` closes the
 * connection; `drain` drains the server. Another thread wakes it all the while. At the end it prints
 * what it has counted.
 */
#include <countersign_host.h>

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Ends the test where something isn't as it must be. */
#define MUST(condition) \
    do { \
        if (!(condition)) { \
            fprintf(stderr, "host: line %d: %s\n", __LINE__, #condition); \
            exit(1); \
        } \
    } while (0)

/* The host's state of a connection: on the heap, so that a double free or a use after it shows. */
struct connection {
    uint64_t id;
    char *key;
};

struct host {
    struct cs_server *server;
    struct cs_handle *handle;
    struct cs_keys *other_keys;
    struct cs_failure why;
    uint64_t first;     /* The first connection. */
    int tells;          /* How often it is to be told something. */
    long open, opened, refused, reentrant, told, lines;
};

/* Every call for the server from its own callback does nothing, and says so. */
static void call_back(struct host *host)
{
    struct cs_stats stats = { 0 };
    struct cs_handle *handle = NULL;
    struct cs_server *server = host->server;
    size_t count = 0;
    char text[64];

    stats.size = sizeof stats;
    MUST(cs_server_turn(server, 0, &host->why) == CS_ERR_REENTRANT);
    MUST(strstr(host->why.message, "callback") != NULL);
    MUST(cs_server_run(server, NULL) == CS_ERR_REENTRANT);
    MUST(cs_server_tell(server, host->first, NULL, 0, NULL) == CS_ERR_REENTRANT);
    MUST(cs_server_dismiss(server, host->first, NULL) == CS_ERR_REENTRANT);
    MUST(cs_server_replace_keys(server, 0, host->other_keys, NULL) == CS_ERR_REENTRANT);
    MUST(cs_server_close_revoked(server, &count, NULL) == CS_ERR_REENTRANT);
    MUST(cs_server_stats(server, 0, &stats, NULL) == CS_ERR_REENTRANT);
    MUST(cs_server_address(server, 0, text, sizeof text) == CS_ERR_REENTRANT);
    MUST(cs_server_wake_on(server, 0, NULL) == CS_ERR_REENTRANT);
    MUST(cs_server_free(server) == CS_ERR_REENTRANT);
    /* What needs nothing of the server's inside may be called. */
    MUST(cs_server_deadline(server) == 0 && !cs_server_is_finished(server));
    MUST(cs_server_fd(server) >= 0);
    MUST(cs_server_handle(server, &handle, NULL) == CS_ERR_NONE);
    MUST(cs_handle_wake(handle, NULL) == CS_ERR_NONE);
    cs_handle_free(handle);
    host->reentrant++;
}

static void *on_opened(void *user, const struct cs_peer *peer, struct cs_reply *reply)
{
    struct host *host = user;
    struct connection *connection = malloc(sizeof *connection);
    uint8_t secret[32];

    MUST(connection != NULL);
    connection->id = cs_peer_id(peer);
    connection->key = strdup(cs_peer_key(peer));
    MUST(cs_peer_listener(peer) == 0 && cs_peer_is_protected(peer) && !cs_peer_is_sealed(peer));
    MUST(strcmp(cs_peer_dialect(peer), "countersign/1") == 0);
    MUST(strchr(cs_peer_address(peer), ':') != NULL);
    MUST(cs_peer_secret(peer, "test", secret) == CS_ERR_NONE);
    MUST(cs_reply_now(reply) > 1700000000000);
    if (host->opened++ == 0)
        host->first = connection->id;
    host->open++;
    call_back(host);
    return connection;
}

static void on_message(void *user, void *state, const uint8_t *message, size_t length,
                       struct cs_reply *reply)
{
    struct host *host = user;
    struct connection *connection = state;

    call_back(host);
    MUST(connection->key[0] != '\0');
    if (length == 4 && memcmp(message, "keys", 4) == 0)
        MUST(cs_handle_replace_keys(host->handle, 0, host->other_keys, true, NULL) == CS_ERR_NONE);
    if (length == 4 && memcmp(message, "tell", 4) == 0)
        host->tells++;
    if (length == 5 && memcmp(message, "close", 5) == 0)
        MUST(cs_reply_close(reply) == CS_ERR_NONE);
    if (length == 5 && memcmp(message, "drain", 5) == 0)
        MUST(cs_handle_drain(host->handle, NULL) == CS_ERR_NONE);
    /* In parts, and in one. */
    MUST(cs_reply_push(reply, message, length / 2) == CS_ERR_NONE);
    MUST(cs_reply_push(reply, message + length / 2, length - length / 2) == CS_ERR_NONE);
    MUST(cs_reply_end(reply) == CS_ERR_NONE);
}

static void on_ended(void *user, void *state, struct cs_reply *reply)
{
    (void)state;
    (void)reply;
    call_back(user);
}

static void on_closed(void *user, void *state, const char *reason, bool is_refusal)
{
    struct host *host = user;
    struct connection *connection = state;

    MUST(reason[0] != '\0');
    host->refused += is_refusal;
    host->open--;
    call_back(host);
    free(connection->key);
    free(connection);
}

static void on_line(void *user, enum cs_log_level level, const char *line)
{
    struct host *host = user;

    MUST(level >= CS_LOG_ERROR && level <= CS_LOG_DEBUG && strchr(line, '\n') == NULL);
    host->lines++;
}

/* Another thread, with a handle of its own, until the server is gone. */
static void *wake(void *user)
{
    struct cs_handle *handle = user;
    const struct timespec pause = { 0, 5000000 };

    while (cs_handle_wake(handle, NULL) == CS_ERR_NONE)
        nanosleep(&pause, NULL);
    MUST(cs_handle_drain(handle, NULL) == CS_ERR_GONE && cs_handle_stop(handle, NULL) == CS_ERR_GONE);
    cs_handle_free(handle);
    return NULL;
}

static struct cs_keys *read_keys(const char *path)
{
    struct cs_keys *keys;
    struct cs_failure why = { 0, "" };

    if (cs_keys_from_file(path, &keys, &why) != CS_ERR_NONE) {
        fprintf(stderr, "host: %s\n", why.message);
        exit(1);
    }
    return keys;
}

static void begin(struct host *host, const char *path)
{
    struct cs_service service = { sizeof service, host, on_opened, on_message, on_ended, on_closed,
                                  NULL, NULL };
    struct cs_limits limits = { 0 };
    struct cs_session_config *config;
    struct cs_listener *listener;
    const struct cs_listener *listeners[1];
    struct cs_keys *keys = read_keys(path);
    char address[64];

    limits.size = sizeof limits;
    MUST(cs_limits_default(&limits) == CS_ERR_NONE);
    limits.connections = 20000;
    limits.unauthenticated_per_address = 20000;
    limits.drain_timeout = 60000;
    MUST(cs_session_config_new(&config, NULL) == CS_ERR_NONE);
    MUST(cs_session_config_set_keys(config, keys, NULL) == CS_ERR_NONE);
    MUST(cs_listener_new(config, &listener, NULL) == CS_ERR_NONE);
    MUST(cs_listener_set_limits(listener, &limits, NULL) == CS_ERR_NONE);
    MUST(cs_listener_set_name(listener, "test", NULL) == CS_ERR_NONE);
    MUST(cs_listener_add_address(listener, "127.0.0.1:0", NULL) == CS_ERR_NONE);
    listeners[0] = listener;
    MUST(cs_server_new(listeners, 1, &service, &host->server, &host->why) == CS_ERR_NONE);
    MUST(cs_server_handle(host->server, &host->handle, NULL) == CS_ERR_NONE);
    /* The server has what it needs. */
    cs_keys_free(keys);
    cs_session_config_free(config);
    cs_listener_free(listener);
    MUST(cs_server_address(host->server, 0, address, sizeof address) == CS_ERR_NONE);
    printf("listening on %s\n", address);
    fflush(stdout);
}

/* Returns the most memory that the server may use. */
static uint64_t serve(struct host *host)
{
    struct pollfd polled = { cs_server_fd(host->server), POLLIN, 0 };
    struct cs_stats stats = { 0 };

    stats.size = sizeof stats;
    MUST(cs_server_stats(host->server, CS_ALL_LISTENERS, &stats, NULL) == CS_ERR_NONE);
    while (!cs_server_is_finished(host->server)) {
        if (poll(&polled, 1, cs_server_deadline(host->server)) < 0) {
            MUST(errno == EINTR);
            continue;
        }
        MUST(cs_server_turn(host->server, 0, &host->why) == CS_ERR_NONE);
        for (; host->tells > 0; host->tells--)
            host->told += cs_server_tell(host->server, host->first, (const uint8_t *)"told", 4, NULL)
                          == CS_ERR_NONE;
    }
    return stats.memory_max;
}

static void on_reason(void *user, const char *reason, uint64_t count)
{
    (void)user;
    if (count > 0)
        printf(" %s %llu", reason, (unsigned long long)count);
}

int main(int argc, char **argv)
{
    struct host host = { 0 };
    struct cs_stats stats = { 0 };
    struct cs_handle *other;
    pthread_t thread;
    uint64_t memory_max;

    MUST(argc == 3);
    host.other_keys = read_keys(argv[2]);
    MUST(cs_log_to(on_line, &host, CS_LOG_DEBUG, NULL) == CS_ERR_NONE);
    begin(&host, argv[1]);
    MUST(cs_handle_clone(host.handle, &other) == CS_ERR_NONE);
    MUST(pthread_create(&thread, NULL, wake, other) == 0);
    memory_max = serve(&host);

    stats.size = sizeof stats;
    MUST(cs_server_stats(host.server, 0, &stats, NULL) == CS_ERR_NONE);
    MUST(stats.accepted == stats.closed && stats.now_open == 0 && host.open == 0);
    printf("opened %ld, called back %ld times, told %ld, memory_max %llu KiB, closed:", host.opened,
           host.reentrant, host.told, (unsigned long long)memory_max / 1024);
    MUST(cs_server_each_reason(host.server, 0, on_reason, NULL, NULL) == CS_ERR_NONE);
    printf("\n");
    MUST(host.lines > 0);

    MUST(cs_server_free(host.server) == CS_ERR_NONE);
    MUST(pthread_join(thread, NULL) == 0);
    MUST(cs_handle_wake(host.handle, NULL) == CS_ERR_GONE);
    cs_handle_free(host.handle);
    cs_keys_free(host.other_keys);
    return 0;
}
