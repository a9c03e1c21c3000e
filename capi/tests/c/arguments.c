/*
 * Wrong arguments: NULL everywhere, and what is out of range, is an error and nothing worse.
 */
#include <countersign_host.h>

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MUST(condition) \
    do { \
        if (!(condition)) { \
            fprintf(stderr, "arguments: line %d: %s\n", __LINE__, #condition); \
            exit(1); \
        } \
    } while (0)

#define WRONG(call) MUST((call) == CS_ERR_ARGUMENT)

static const char FILE_OF_KEYS[] = "garden  hex:00112233445566778899aabbccddeeff\n";

static struct cs_failure why;

/* Functions that take NULL for every pointer. */
static void null(void)
{
    WRONG(cs_keys_from_file(NULL, NULL, NULL));
    WRONG(cs_keys_from_text(NULL, 1, NULL, NULL));
    WRONG(cs_keys_new(NULL, NULL));
    WRONG(cs_keys_add(NULL, NULL, NULL, 0, NULL, NULL, NULL));
    WRONG(cs_session_config_new(NULL, NULL));
    WRONG(cs_session_config_set_dialect(NULL, NULL, NULL));
    WRONG(cs_session_config_set_keys(NULL, NULL, NULL));
    WRONG(cs_session_config_set_framing(NULL, NULL, NULL));
    WRONG(cs_session_config_set_records(NULL, NULL, NULL));
    WRONG(cs_session_config_set_mac(NULL, NULL, NULL));
    WRONG(cs_session_config_set_exchange(NULL, NULL, NULL));
    WRONG(cs_session_config_set_message_max(NULL, 1, NULL));
    WRONG(cs_session_config_add_audience(NULL, NULL, NULL));
    WRONG(cs_session_config_set_key(NULL, NULL, NULL));
    WRONG(cs_session_config_set_raw(NULL, true, NULL));
    WRONG(cs_session_config_set_rhel(NULL, true, NULL));
    WRONG(cs_limits_default(NULL));
    WRONG(cs_limits_small(NULL));
    WRONG(cs_listener_new(NULL, NULL, NULL));
    WRONG(cs_listener_add_address(NULL, NULL, NULL));
    WRONG(cs_listener_add_socket(NULL, 0, NULL));
    WRONG(cs_listener_set_name(NULL, NULL, NULL));
    WRONG(cs_listener_set_limits(NULL, NULL, NULL));
    WRONG(cs_listener_set_access(NULL, NULL, NULL, NULL));
    WRONG(cs_listener_set_proxies(NULL, NULL, NULL));
    WRONG(cs_listener_set_unix_mode(NULL, 0600, NULL));
    WRONG(cs_listener_set_reuse_port(NULL, true, NULL));
    WRONG(cs_listener_set_ipv6_only(NULL, true, NULL));
    WRONG(cs_listener_set_keepalive(NULL, CS_NEVER, NULL));
    WRONG(cs_reply_message(NULL, NULL, 0));
    WRONG(cs_reply_push(NULL, NULL, 0));
    WRONG(cs_reply_end(NULL));
    WRONG(cs_reply_close(NULL));
    WRONG(cs_peer_secret(NULL, NULL, NULL));
    WRONG(cs_connection_client(NULL, NULL, NULL));
    WRONG(cs_connection_server(NULL, NULL, NULL));
    WRONG(cs_connection_process(NULL, NULL, NULL, NULL, NULL));
    WRONG(cs_connection_input_ended(NULL, NULL, NULL));
    WRONG(cs_connection_message(NULL, NULL, NULL));
    WRONG(cs_connection_send(NULL, NULL, 0, NULL));
    WRONG(cs_connection_reply(NULL, NULL, 0, NULL));
    WRONG(cs_connection_finish(NULL));
    WRONG(cs_connection_time_out(NULL));
    WRONG(cs_connection_output(NULL, NULL, NULL));
    WRONG(cs_connection_sent(NULL, 0));
    WRONG(cs_connection_secret(NULL, NULL, NULL));
    MUST(cs_peer_id(NULL) == 0 && cs_peer_key(NULL) == NULL && cs_peer_address(NULL) == NULL);
    MUST(cs_peer_dialect(NULL) == NULL && cs_peer_listener(NULL) == 0 && cs_reply_now(NULL) == 0);
    MUST(!cs_peer_is_protected(NULL) && !cs_peer_is_sealed(NULL) && cs_keys_count(NULL) == 0);
    MUST(cs_connection_key(NULL) == NULL);
}

/* The rest of them. */
static void null_at_ends(void)
{
    WRONG(cs_server_new(NULL, 1, NULL, NULL, NULL));
    WRONG(cs_server_turn(NULL, 0, NULL));
    WRONG(cs_server_run(NULL, NULL));
    WRONG(cs_server_address(NULL, 0, NULL, 0));
    WRONG(cs_server_tell(NULL, 0, NULL, 0, NULL));
    WRONG(cs_server_dismiss(NULL, 0, NULL));
    WRONG(cs_server_replace_keys(NULL, 0, NULL, NULL));
    WRONG(cs_server_close_revoked(NULL, NULL, NULL));
    WRONG(cs_server_set_close_expired(NULL, true, NULL));
    WRONG(cs_server_replace_limits(NULL, 0, NULL, NULL));
    WRONG(cs_server_replace_access(NULL, 0, NULL, NULL, NULL));
    WRONG(cs_server_wake_on(NULL, 0, NULL));
    WRONG(cs_server_set_busy_poll(NULL, 0, NULL));
    WRONG(cs_server_handle(NULL, NULL, NULL));
    WRONG(cs_server_stats(NULL, 0, NULL, NULL));
    WRONG(cs_server_each_reason(NULL, 0, NULL, NULL, NULL));
    WRONG(cs_server_each_key(NULL, 0, NULL, NULL, NULL));
    WRONG(cs_handle_drain(NULL, NULL));
    WRONG(cs_handle_stop(NULL, NULL));
    WRONG(cs_handle_wake(NULL, NULL));
    WRONG(cs_handle_replace_keys(NULL, 0, NULL, false, NULL));
    WRONG(cs_handle_clone(NULL, NULL));
    WRONG(cs_client_connect(NULL, NULL, 0, NULL, NULL));
    WRONG(cs_client_set_timeout(NULL, 0));
    WRONG(cs_client_set_nonblocking(NULL, true, NULL));
    WRONG(cs_client_send(NULL, NULL, 0, NULL));
    WRONG(cs_client_receive(NULL, NULL, NULL, NULL));
    WRONG(cs_client_ask(NULL, NULL, 0, NULL, NULL, NULL));
    WRONG(cs_client_finish(NULL, NULL));
    WRONG(cs_client_flush(NULL, NULL));
    WRONG(cs_client_secret(NULL, NULL, NULL));
    MUST(cs_server_fd(NULL) == -1 && cs_server_deadline(NULL) == 0);
    MUST(!cs_server_is_finished(NULL) && cs_server_free(NULL) == CS_ERR_NONE);
    MUST(cs_client_fd(NULL) == -1 && cs_client_unsent(NULL) == 0);
    cs_keys_free(NULL);
    cs_session_config_free(NULL);
    cs_listener_free(NULL);
    cs_handle_free(NULL);
    cs_client_free(NULL);
    cs_connection_free(NULL);
}

static struct cs_session_config *configured(void)
{
    struct cs_keys *keys;
    struct cs_session_config *config;

    MUST(cs_keys_from_text((const uint8_t *)FILE_OF_KEYS, strlen(FILE_OF_KEYS), &keys, &why)
         == CS_ERR_NONE);
    MUST(cs_keys_count(keys) == 1);
    MUST(cs_session_config_new(&config, &why) == CS_ERR_NONE);
    MUST(cs_session_config_set_keys(config, keys, &why) == CS_ERR_NONE);
    cs_keys_free(keys);
    return config;
}

static void keys(void)
{
    struct cs_keys *ring = (struct cs_keys *)&why;
    const uint8_t secret[32] = { 1, 2, 3 };

    MUST(cs_keys_from_file("/nowhere", &ring, &why) == CS_ERR_KEYS && ring == NULL);
    MUST(strstr(why.message, "/nowhere") != NULL && why.os_error == ENOENT);
    MUST(cs_keys_from_text((const uint8_t *)"one hex:12\ntwo", 14, &ring, &why) == CS_ERR_KEYS);
    MUST(strstr(why.message, "line 1") != NULL);
    MUST(cs_keys_new(&ring, &why) == CS_ERR_NONE);
    MUST(cs_keys_add(ring, "one", secret, 32, NULL, "time", &why) == CS_ERR_NONE);
    MUST(cs_keys_add(ring, "one", secret, 31, NULL, NULL, &why) == CS_ERR_KEYS);
    WRONG(cs_keys_add(ring, "two", secret, 3, "raw,rawer", NULL, &why));
    MUST(strstr(why.message, "rawer is not a dialect") != NULL);
    MUST(cs_keys_add(ring, "two", secret + 1, 3, "raw,hex", NULL, &why) == CS_ERR_NONE);
    WRONG(cs_keys_add(ring, "\xff", secret, 31, NULL, NULL, &why));
    MUST(cs_keys_count(ring) == 2);
    cs_keys_free(ring);
}

static void on_message(void *user, void *state, const uint8_t *message, size_t length,
                       struct cs_reply *reply)
{
    (void)user;
    (void)state;
    cs_reply_message(reply, message, length);
}

static void options(void)
{
    struct cs_session_config *config = configured();
    struct cs_service service = { 0 };
    struct cs_limits limits = { 0 };
    struct cs_listener *listener, *spoiled;
    const struct cs_listener *listeners[2];
    struct cs_server *server;
    char text[16];

    WRONG(cs_session_config_set_dialect(config, "countersign/2", &why));
    MUST(strstr(why.message, "countersign/1, raw, hex, multiprocessing, open") != NULL);
    WRONG(cs_session_config_set_records(config, "always", &why));
    MUST(cs_listener_new(config, &listener, &why) == CS_ERR_NONE);
    MUST(cs_session_config_set_message_max(config, 0, &why) == CS_ERR_NONE);
    MUST(cs_listener_new(config, &spoiled, &why) == CS_ERR_CONFIG && spoiled == NULL);
    WRONG(cs_listener_set_access(listener, "10.0.0.0/33", NULL, &why));
    WRONG(cs_listener_set_access(listener, "", NULL, &why));
    WRONG(cs_listener_set_limits(listener, &limits, &why)); /* Without its size. */
    WRONG(cs_listener_add_socket(listener, -1, &why));
    MUST(cs_listener_add_socket(listener, INT_MAX, &why) == CS_ERR_SYSTEM && why.os_error != 0);
    listeners[0] = listener;
    listeners[1] = NULL;
    WRONG(cs_server_new(listeners, 1, &service, &server, &why));
    service.size = sizeof service;
    WRONG(cs_server_new(listeners, 1, &service, &server, &why)); /* Without its function. */
    service.message = on_message;
    WRONG(cs_server_new(listeners, 2, &service, &server, &why));
    MUST(cs_listener_add_address(listener, "300.0.0.1:80", &why) == CS_ERR_NONE);
    MUST(cs_server_new(listeners, 1, &service, &server, &why) == CS_ERR_ADDRESS);
    MUST(server == NULL && why.message[0] != '\0');
    MUST(cs_server_new(NULL, 0, &service, &server, &why) == CS_ERR_NONE);
    WRONG(cs_server_address(server, 0, text, sizeof text));
    WRONG(cs_server_replace_keys(server, 0, NULL, &why));
    MUST(cs_server_dismiss(server, 77, &why) == CS_ERR_GONE);
    MUST(cs_server_tell(server, CS_NEVER, NULL, 0, &why) == CS_ERR_GONE);
    MUST(cs_server_turn(server, 0, &why) == CS_ERR_NONE && cs_server_deadline(server) == -1);
    MUST(cs_server_free(server) == CS_ERR_NONE);
    cs_listener_free(listener);
    cs_session_config_free(config);
}

/* What a server with the limits of a small machine may use. */
static void small(void)
{
    struct cs_session_config *config = configured();
    struct cs_service service = { 0 };
    struct cs_limits limits = { 0 };
    struct cs_stats stats = { 0 };
    struct cs_listener *listener;
    const struct cs_listener *listeners[1];
    struct cs_server *server;

    limits.size = sizeof limits;
    stats.size = sizeof stats;
    service.size = sizeof service;
    service.message = on_message;
    MUST(cs_limits_small(&limits) == CS_ERR_NONE && limits.connections == 64);
    MUST(cs_listener_new(config, &listener, &why) == CS_ERR_NONE);
    MUST(cs_listener_set_limits(listener, &limits, &why) == CS_ERR_NONE);
    MUST(cs_listener_add_address(listener, "127.0.0.1:0", &why) == CS_ERR_NONE);
    listeners[0] = listener;
    MUST(cs_server_new(listeners, 1, &service, &server, &why) == CS_ERR_NONE);
    MUST(cs_server_stats(server, 0, &stats, &why) == CS_ERR_NONE);
    MUST(stats.connections_max == 64 && stats.memory_max < 256 * 1024);
    cs_server_free(server);
    cs_listener_free(listener);
    cs_session_config_free(config);
}

int main(void)
{
    null();
    null_at_ends();
    keys();
    options();
    small();
    printf("version %s\n", cs_version());
    return 0;
}
