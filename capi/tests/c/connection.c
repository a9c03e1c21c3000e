/*
 * Both ends of a connection in memory, without a socket: however the bytes are cut, the same
 * messages arrive, and a changed byte ends it.
 */
#include <countersign_host.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MUST(condition) \
    do { \
        if (!(condition)) { \
            fprintf(stderr, "connection: line %d: %s\n", __LINE__, #condition); \
            exit(1); \
        } \
    } while (0)

static const uint8_t SECRET[32] = { 7, 7, 7 };

static struct cs_failure why;

/* An end, with keys of its own: a ring and its copies do not talk to each other. */
static struct cs_connection *end(bool is_server, const char *records)
{
    struct cs_keys *keys;
    struct cs_session_config *config;
    struct cs_connection *connection;

    MUST(cs_keys_new(&keys, &why) == CS_ERR_NONE);
    MUST(cs_keys_add(keys, "garden", SECRET, sizeof SECRET, NULL, NULL, &why) == CS_ERR_NONE);
    MUST(cs_session_config_new(&config, &why) == CS_ERR_NONE);
    MUST(cs_session_config_set_keys(config, keys, &why) == CS_ERR_NONE);
    MUST(cs_session_config_set_records(config, records, &why) == CS_ERR_NONE);
    MUST((is_server ? cs_connection_server : cs_connection_client)(config, &connection, &why)
         == CS_ERR_NONE);
    cs_keys_free(keys);
    cs_session_config_free(config);
    return connection;
}

/* Gives bytes to an end, which replies to each message. Returns the last event but waiting. */
static enum cs_input_event give(struct cs_connection *to, const uint8_t *input, size_t length,
                                bool replies)
{
    enum cs_input_event event, last = CS_INPUT_WAIT;
    const uint8_t *message;
    size_t size;

    for (;;) {
        MUST(cs_connection_process(to, &input, &length, &event, &why) == CS_ERR_NONE);
        if (event == CS_INPUT_WAIT)
            return last;
        last = event;
        if (event == CS_INPUT_MESSAGE) {
            MUST(cs_connection_message(to, &message, &size) == CS_ERR_NONE);
            MUST(size == 5 && memcmp(message, "hello", 5) == 0);
            if (replies)
                MUST(cs_connection_reply(to, message, size, &why) == CS_ERR_NONE);
        }
    }
}

/* Moves what one end has to send to the other, at most `step` bytes at once. */
static enum cs_input_event move(struct cs_connection *from, struct cs_connection *to, size_t step,
                                bool replies)
{
    enum cs_input_event event, last = CS_INPUT_WAIT;
    const uint8_t *output;
    size_t length;

    for (;;) {
        MUST(cs_connection_output(from, &output, &length) == CS_ERR_NONE);
        if (length == 0)
            return last;
        length = length < step ? length : step;
        event = give(to, output, length, replies);
        last = event == CS_INPUT_WAIT ? last : event;
        MUST(cs_connection_sent(from, length) == CS_ERR_NONE);
    }
}

static void talk(size_t step, const char *records)
{
    struct cs_connection *client = end(false, records), *server = end(true, records);
    uint8_t ours[32], theirs[32];
    enum cs_input_event event;

    MUST(cs_connection_secret(client, "test", ours) == CS_ERR_UNSUPPORTED);
    MUST(cs_connection_send(client, NULL, 0, &why) == CS_ERR_CLOSED);
    MUST(give(client, NULL, 0, false) == CS_INPUT_WAIT);
    MUST(move(client, server, step, true) == CS_INPUT_WAIT && cs_connection_key(server) == NULL);
    MUST(move(server, client, step, false) == CS_INPUT_OPEN);
    MUST(cs_connection_send(client, (const uint8_t *)"hello", 5, &why) == CS_ERR_NONE);
    MUST(move(client, server, step, true) == CS_INPUT_MESSAGE);
    MUST(strcmp(cs_connection_key(server), "garden") == 0);
    MUST(move(server, client, step, false) == CS_INPUT_MESSAGE);
    MUST(cs_connection_secret(client, "test", ours) == CS_ERR_NONE);
    MUST(cs_connection_secret(server, "test", theirs) == CS_ERR_NONE);
    MUST(memcmp(ours, theirs, 32) == 0);
    MUST(cs_connection_finish(client) == CS_ERR_NONE);
    MUST(move(client, server, step, true) == CS_INPUT_FINISHED);
    MUST(cs_connection_finish(server) == CS_ERR_NONE);
    MUST(move(server, client, step, false) == CS_INPUT_FINISHED);
    MUST(cs_connection_input_ended(client, &event, &why) == CS_ERR_NONE && event == CS_INPUT_END);
    MUST(cs_connection_sent(client, 1) == CS_ERR_ARGUMENT);
    cs_connection_free(client);
    cs_connection_free(server);
}

/* An end that speaks something else than the default. */
static struct cs_connection *other_end(bool is_server, const char *dialect, const char *framing)
{
    struct cs_keys *keys;
    struct cs_session_config *config;
    struct cs_connection *connection, *refused;

    MUST(cs_keys_new(&keys, &why) == CS_ERR_NONE);
    MUST(cs_keys_add(keys, "garden", SECRET, sizeof SECRET, dialect, NULL, &why) == CS_ERR_NONE);
    MUST(cs_session_config_new(&config, &why) == CS_ERR_NONE);
    MUST(cs_session_config_set_dialect(config, dialect, &why) == CS_ERR_NONE);
    MUST(cs_session_config_set_keys(config, keys, &why) == CS_ERR_NONE);
    MUST(cs_session_config_set_framing(config, framing, &why) == CS_ERR_NONE);
    MUST(cs_session_config_set_mac(config, "sha256", &why) == CS_ERR_NONE);
    MUST(cs_session_config_set_exchange(config, "once", &why) == CS_ERR_NONE);
    MUST(cs_session_config_set_message_max(config, 5, &why) == CS_ERR_NONE);
    MUST(cs_session_config_set_rhel(config, strcmp(dialect, "multiprocessing") == 0, &why)
         == CS_ERR_NONE);
    MUST((is_server ? cs_connection_server : cs_connection_client)(config, &connection, &why)
         == CS_ERR_NONE);
    MUST(cs_session_config_set_raw(config, true, &why) == CS_ERR_NONE);
    MUST(cs_connection_client(config, &refused, &why) == CS_ERR_CONFIG && refused == NULL);
    cs_keys_free(keys);
    cs_session_config_free(config);
    return connection;
}

static void talk_otherwise(const char *dialect, const char *framing)
{
    struct cs_connection *client = other_end(false, dialect, framing);
    struct cs_connection *server = other_end(true, dialect, framing);
    enum cs_input_event event = CS_INPUT_WAIT;
    int rounds = 0;

    MUST(give(client, NULL, 0, false) == CS_INPUT_WAIT);
    MUST(give(server, NULL, 0, true) == CS_INPUT_WAIT);
    while (event != CS_INPUT_OPEN && rounds++ < 9) {
        move(server, client, 7, false);
        event = move(client, server, 7, true);
    }
    MUST(event == CS_INPUT_OPEN);
    move(server, client, 7, false);
    MUST(cs_connection_send(client, (const uint8_t *)"hello", 5, &why) == CS_ERR_NONE);
    MUST(move(client, server, 7, true) == CS_INPUT_END); /* It was for one message. */
    MUST(move(server, client, 7, false) == CS_INPUT_MESSAGE);
    cs_connection_free(client);
    cs_connection_free(server);
}

/* Takes what an end has to send. Returns its length. */
static size_t take(struct cs_connection *from, uint8_t *bytes, size_t room)
{
    const uint8_t *output;
    size_t length;

    MUST(cs_connection_output(from, &output, &length) == CS_ERR_NONE && length <= room);
    memcpy(bytes, output, length);
    MUST(cs_connection_sent(from, length) == CS_ERR_NONE);
    return length;
}

static void change(void)
{
    struct cs_connection *client = end(false, "required"), *server = end(true, "required");
    enum cs_input_event event;
    uint8_t bytes[512];
    const uint8_t *input = bytes;
    size_t length;

    MUST(give(client, NULL, 0, false) == CS_INPUT_WAIT);
    move(client, server, 512, false);
    length = take(server, bytes, sizeof bytes);
    bytes[length - 1] ^= 1;
    MUST(cs_connection_process(client, &input, &length, &event, &why) == CS_ERR_UNPROVEN);
    MUST(why.message[0] != '\0');
    length = 0;
    MUST(cs_connection_process(client, &input, &length, &event, &why) == CS_ERR_UNPROVEN);
    /* It has left after it has seen the proof of the server: that was not good enough for it. */
    MUST(cs_connection_input_ended(server, &event, &why) == CS_ERR_UNPROVEN);
    MUST(cs_connection_time_out(server) == CS_ERR_NONE);
    cs_connection_free(client);
    cs_connection_free(server);
}

int main(void)
{
    static const char *const RECORDS[] = { "required", "sealed" };
    size_t step, kind;

    for (kind = 0; kind < 2; kind++)
        for (step = 1; step < 300; step += 1 + step / 4)
            talk(step, RECORDS[kind]);
    talk_otherwise("raw", "length");
    talk_otherwise("hex", "lines");
    talk_otherwise("multiprocessing", "length");
    change();
    printf("all of it holds\n");
    return 0;
}
