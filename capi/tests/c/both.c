/*
 * A server that runs on a thread of its own, and its client in the same program: the calls that a
 * poll loop does not need.
 *
 *     both FOLDER
 *
 * The folder gets a Unix socket.
 */
#include <countersign_host.h>

#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MUST(condition) \
    do { \
        if (!(condition)) { \
            fprintf(stderr, "both: line %d: %s: %s\n", __LINE__, #condition, why.message); \
            exit(1); \
        } \
    } while (0)

#define DONE(call) MUST((call) == CS_ERR_NONE)

static struct cs_failure why = { 0, "" };

struct host {
    struct cs_server *server;
    struct cs_handle *handle;
    char path[256];
    uint64_t last;      /* The latest connection. */
    int ticks, ended, keys, reasons, reentrant;
};

static struct cs_session_config *configured(void)
{
    static const uint8_t SECRET[32] = { 5, 6, 7 };
    struct cs_session_config *config;
    struct cs_keys *keys;

    DONE(cs_keys_new(&keys, &why));
    DONE(cs_keys_add(keys, "garden", SECRET, sizeof SECRET, NULL, "time", &why));
    DONE(cs_session_config_new(&config, &why));
    DONE(cs_session_config_set_keys(config, keys, &why));
    DONE(cs_session_config_set_records(config, "sealed", &why));
    DONE(cs_session_config_add_audience(config, "time", &why));
    cs_keys_free(keys);
    return config;
}

static void *on_opened(void *user, const struct cs_peer *peer, struct cs_reply *reply)
{
    struct host *host = user;

    MUST(cs_peer_is_sealed(peer) && strcmp(cs_peer_key(peer), "garden") == 0);
    host->last = cs_peer_id(peer);
    DONE(cs_reply_message(reply, (const uint8_t *)"welcome", 7));
    return NULL;
}

static void on_message(void *user, void *state, const uint8_t *message, size_t length,
                       struct cs_reply *reply)
{
    (void)user;
    (void)state;
    DONE(cs_reply_message(reply, message, length));
}

static void on_ended(void *user, void *state, struct cs_reply *reply)
{
    (void)state;
    ((struct host *)user)->ended++;
    DONE(cs_reply_message(reply, (const uint8_t *)"goodbye", 7));
}

static int64_t wake_after(void *user, void *state)
{
    (void)state;
    return ((struct host *)user)->ticks == 0 ? 1000 : -1;
}

static void on_wake(void *user, void *state, struct cs_reply *reply)
{
    (void)state;
    ((struct host *)user)->ticks++;
    DONE(cs_reply_message(reply, (const uint8_t *)"tick", 4));
}

/* The log is written during a turn. */
static void on_line(void *user, enum cs_log_level level, const char *line)
{
    struct host *host = user;

    (void)level;
    (void)line;
    host->reentrant += cs_server_run(host->server, NULL) == CS_ERR_REENTRANT;
}

/* A socket that is bound and listening already. */
static int listening(void)
{
    struct sockaddr_in address = { 0 };
    int descriptor = socket(AF_INET, SOCK_STREAM, 0);

    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    MUST(bind(descriptor, (const struct sockaddr *)&address, sizeof address) == 0);
    MUST(listen(descriptor, 16) == 0);
    return descriptor;
}

static void make(struct host *host, const char *folder)
{
    int descriptor = listening();
    struct cs_service service = { sizeof service, host, on_opened, on_message, on_ended, NULL,
                                  wake_after, on_wake };
    struct cs_session_config *config = configured();
    struct cs_listener *listener;
    const struct cs_listener *listeners[1];

    snprintf(host->path, sizeof host->path, "unix:%s/both.sock", folder);
    DONE(cs_listener_new(config, &listener, &why));
    DONE(cs_listener_set_unix_mode(listener, 0600, &why));
    DONE(cs_listener_set_reuse_port(listener, true, &why));
    DONE(cs_listener_set_ipv6_only(listener, true, &why));
    DONE(cs_listener_set_keepalive(listener, CS_NEVER, &why));
    DONE(cs_listener_set_access(listener, "127.0.0.0/8,unix", "127.6.6.6", &why));
    DONE(cs_listener_set_proxies(listener, NULL, &why));
    DONE(cs_listener_add_socket(listener, descriptor, &why));
    close(descriptor);
    DONE(cs_listener_add_address(listener, host->path, &why));
    listeners[0] = listener;
    DONE(cs_server_new(listeners, 1, &service, &host->server, &why));
    DONE(cs_server_handle(host->server, &host->handle, &why));
    cs_listener_free(listener);
    cs_session_config_free(config);
}

static void *run(void *user)
{
    DONE(cs_server_run(((struct host *)user)->server, NULL));
    return NULL;
}

static struct cs_client *connect_to(const char *address)
{
    struct cs_session_config *config = configured();
    struct cs_client *client;

    DONE(cs_session_config_set_key(config, "garden", &why));
    DONE(cs_client_connect(address, config, 60000, &client, &why));
    cs_session_config_free(config);
    DONE(cs_client_set_timeout(client, 60000));
    return client;
}

static void expect(struct cs_client *client, const char *text)
{
    const uint8_t *message;
    size_t length;

    DONE(cs_client_receive(client, &message, &length, &why));
    MUST(length == strlen(text) && memcmp(message, text, length) == 0);
}

/* Waits in a poll loop of its own for what a client that does not wait receives. */
static void poll_for(struct cs_client *client, const char *text)
{
    struct pollfd polled = { cs_client_fd(client), POLLIN, 0 };
    const uint8_t *message;
    size_t length;
    enum cs_status status;

    while ((status = cs_client_receive(client, &message, &length, &why)) == CS_ERR_TIMEOUT)
        MUST(poll(&polled, 1, 60000) == 1);
    MUST(status == CS_ERR_NONE && length == strlen(text) && memcmp(message, text, length) == 0);
}

/* While the server runs on another thread, this one gets no further than its handle. */
static void talk(struct host *host, const char *address)
{
    struct cs_client *client = connect_to(address), *other = connect_to(host->path);
    const uint8_t *message;
    size_t length;
    uint8_t secret[32];
    int status;

    MUST(cs_server_turn(host->server, 0, &why) == CS_ERR_REENTRANT);
    expect(client, "welcome");
    expect(other, "welcome");
    expect(client, "tick");
    DONE(cs_client_secret(client, "test", secret));
    DONE(cs_client_ask(client, (const uint8_t *)"one", 3, &message, &length, &why));
    MUST(length == 3 && memcmp(message, "one", 3) == 0);

    DONE(cs_client_set_nonblocking(client, true, &why));
    MUST(cs_client_receive(client, &message, &length, &why) == CS_ERR_TIMEOUT);
    DONE(cs_client_send(client, (const uint8_t *)"two", 3, &why));
    DONE(cs_client_send(client, (const uint8_t *)"three", 5, &why));
    MUST(cs_client_unsent(client) >= 8);
    DONE(cs_client_flush(client, &why));
    MUST(cs_client_unsent(client) == 0);
    poll_for(client, "two");
    poll_for(client, "three");

    DONE(cs_client_set_nonblocking(client, false, &why));
    DONE(cs_client_finish(client, &why));
    expect(client, "goodbye");
    MUST(cs_client_receive(client, &message, &length, &why) == CS_ERR_ENDED);
    MUST(cs_client_send(client, secret, sizeof secret, &why) == CS_ERR_CLOSED);
    cs_client_free(client);

    DONE(cs_handle_drain(host->handle, &why));
    status = cs_client_receive(other, &message, &length, &why);
    if (status == CS_ERR_NONE) {
        /* Its own tick was on its way. */
        MUST(length == 4 && memcmp(message, "tick", 4) == 0);
        status = cs_client_receive(other, &message, &length, &why);
    }
    MUST(status == CS_ERR_ENDED);
    cs_client_free(other);
}

static void on_key(void *user, const char *id, const char *fingerprint, uint64_t authenticated,
                   uint64_t open)
{
    struct host *host = user;

    MUST(strcmp(id, "garden") == 0 && strlen(fingerprint) == 16);
    MUST(authenticated == 2 && open == 0);
    /* It is not a callback of the server. */
    MUST(cs_server_is_finished(host->server));
    host->keys++;
}

static void on_reason(void *user, const char *reason, uint64_t count)
{
    MUST(strlen(reason) > 3);
    ((struct host *)user)->reasons += (int)count;
}

/* What can be changed while a server lives, and the end of a connection by its host. */
static void change(const char *folder)
{
    struct host host = { 0 };
    struct cs_limits limits = { 0 };
    struct cs_client *client;
    const uint8_t *message;
    size_t length;
    int pipe_ends[2];
    char address[64];
    pthread_t thread;

    make(&host, folder);
    DONE(cs_server_address(host.server, 0, address, sizeof address));
    MUST(cs_server_address(host.server, 0, address, 5) == CS_ERR_ARGUMENT);
    DONE(cs_server_address(host.server, 0, address, sizeof address));
    limits.size = sizeof limits;
    DONE(cs_limits_default(&limits));
    DONE(cs_server_replace_limits(host.server, 0, &limits, &why));
    MUST(cs_server_replace_limits(host.server, 1, &limits, &why) == CS_ERR_ARGUMENT);
    DONE(cs_server_replace_access(host.server, 0, NULL, NULL, &why));
    DONE(cs_server_set_close_expired(host.server, false, &why));
    DONE(cs_server_set_busy_poll(host.server, 10, &why));
    MUST(pipe(pipe_ends) == 0 && write(pipe_ends[1], "", 1) == 1);
    DONE(cs_server_wake_on(host.server, pipe_ends[0], &why));
    close(pipe_ends[0]);
    DONE(cs_server_turn(host.server, -1, &why)); /* The pipe has woken it. */
    close(pipe_ends[1]);

    /* The client waits for the end of its handshake, so the server serves meanwhile. */
    MUST(pthread_create(&thread, NULL, run, &host) == 0);
    client = connect_to(address);
    expect(client, "welcome");
    DONE(cs_handle_stop(host.handle, &why));
    MUST(pthread_join(thread, NULL) == 0);
    MUST(cs_client_receive(client, &message, &length, &why) != CS_ERR_NONE || length == 4);
    MUST(cs_server_dismiss(host.server, host.last, &why) == CS_ERR_GONE);
    cs_client_free(client);
    cs_handle_free(host.handle);
    DONE(cs_server_free(host.server));
}

int main(int argc, char **argv)
{
    struct host host = { 0 };
    char address[64];
    pthread_t thread;

    MUST(argc == 2);
    make(&host, argv[1]);
    DONE(cs_log_to(on_line, &host, CS_LOG_DEBUG, &why));
    MUST(cs_log_to(on_line, &host, 6, &why) == CS_ERR_ARGUMENT);
    DONE(cs_server_address(host.server, 0, address, sizeof address));
    MUST(pthread_create(&thread, NULL, run, &host) == 0);
    talk(&host, address);
    MUST(pthread_join(thread, NULL) == 0);
    DONE(cs_log_to(NULL, NULL, CS_LOG_OFF, &why));

    DONE(cs_server_each_key(host.server, 0, on_key, &host, &why));
    DONE(cs_server_each_reason(host.server, CS_ALL_LISTENERS, on_reason, &host, &why));
    MUST(host.keys == 1 && host.reasons == 2 && host.ended == 1 && host.ticks > 0);
    MUST(host.reentrant > 0);
    cs_handle_free(host.handle);
    DONE(cs_server_free(host.server));
    change(argv[1]);
    printf("all of it holds\n");
    return 0;
}
