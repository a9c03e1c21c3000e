/*
 * A server inside a host's own poll loop: each message is sent back.
 *
 *     server ADDRESS KEYFILE
 *
 * Port 0 is any free port. SIGHUP reads the keys again; SIGTERM answers what has arrived, and ends.
 */
#include "example.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

/* What the host keeps of each connection. */
struct connection {
    unsigned long messages;
};

/* Signals become bytes in a pipe, which the loop watches. */
static int signals[2];

static void on_signal(int number)
{
    int saved = errno;
    char byte = (char)number;

    if (write(signals[1], &byte, 1) < 0)
        abort();
    errno = saved;
}

static void *on_opened(void *user, const struct cs_peer *peer, struct cs_reply *reply)
{
    (void)user;
    (void)reply;
    fprintf(stderr, "server: %s has the key %s\n", cs_peer_address(peer), cs_peer_key(peer));
    return calloc(1, sizeof(struct connection));
}

static void on_message(void *user, void *state, const uint8_t *message, size_t length,
                       struct cs_reply *reply)
{
    struct connection *connection = state;

    (void)user;
    if (connection == NULL) { /* There was no memory for it. */
        cs_reply_close(reply);
        return;
    }
    connection->messages++;
    cs_reply_message(reply, message, length);
}

static void on_closed(void *user, void *state, const char *reason, bool is_refusal)
{
    struct connection *connection = state;

    (void)user;
    (void)is_refusal;
    if (connection != NULL)
        fprintf(stderr, "server: %s after %lu messages\n", reason, connection->messages);
    free(connection);
}

static struct cs_server *listen_at(const char *address, const char *path)
{
    struct cs_service service = { sizeof service, NULL, on_opened, on_message, NULL, on_closed,
                                  NULL, NULL };
    struct cs_session_config *config = read_config("server", path);
    struct cs_listener *listener;
    const struct cs_listener *listeners[1];
    struct cs_server *server;
    struct cs_failure why;

    check("server", cs_listener_new(config, &listener, &why), &why);
    check("server", cs_listener_add_address(listener, address, &why), &why);
    listeners[0] = listener;
    check("server", cs_server_new(listeners, 1, &service, &server, &why), &why);
    cs_listener_free(listener);
    cs_session_config_free(config);
    return server;
}

/* If the new keys can't be read, the old ones stay. */
static void reload(struct cs_server *server, const char *path)
{
    struct cs_keys *keys;
    struct cs_failure why;

    if (cs_keys_from_file(path, &keys, &why) != CS_ERR_NONE
        || cs_server_replace_keys(server, 0, keys, &why) != CS_ERR_NONE
        || cs_server_close_revoked(server, NULL, &why) != CS_ERR_NONE)
        fprintf(stderr, "server: the keys stay as they are: %s\n", why.message);
    cs_keys_free(keys);
}

static void serve(struct cs_server *server, struct cs_handle *handle, const char *path)
{
    struct pollfd polled[2] = { { cs_server_fd(server), POLLIN, 0 }, { signals[0], POLLIN, 0 } };
    struct cs_failure why;
    char number;

    while (!cs_server_is_finished(server)) {
        if (poll(polled, 2, cs_server_deadline(server)) < 0)
            continue; /* A signal has interrupted it, and is in the pipe by now. */
        if (polled[1].revents != 0 && read(signals[0], &number, 1) == 1) {
            if (number == SIGHUP)
                reload(server, path);
            else
                check("server", cs_handle_drain(handle, &why), &why);
        }
        /* When the deadline has come, too. */
        check("server", cs_server_turn(server, 0, &why), &why);
    }
}

int main(int argc, char **argv)
{
    struct sigaction action = { 0 };
    struct cs_server *server;
    struct cs_handle *handle;
    struct cs_failure why;
    char address[128];

    if (argc != 3) {
        fprintf(stderr, "usage: server ADDRESS KEYFILE\n");
        return 2;
    }
    server = listen_at(argv[1], argv[2]);
    check("server", cs_server_handle(server, &handle, &why), &why);

    action.sa_handler = on_signal;
    if (pipe(signals) != 0 || sigaction(SIGTERM, &action, NULL) != 0
        || sigaction(SIGHUP, &action, NULL) != 0) {
        perror("server");
        return 1;
    }
    if (cs_server_address(server, 0, address, sizeof address) == CS_ERR_NONE)
        printf("listening on %s\n", address);
    fflush(stdout);

    serve(server, handle, argv[2]);
    cs_handle_free(handle);
    cs_server_free(server);
    return 0;
}
