/*
 * Both ends of every dialect with secrets that valgrind takes for undefined memory: it reports each
 * branch and each address that depends on one. What is sent is public, so it is defined again.
 *
 *     secrets [control]    with an argument: what must be reported
 */
#include <countersign_host.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <valgrind/memcheck.h>

#define MUST(condition) \
    do { \
        if (!(condition)) { \
            fprintf(stderr, "secrets: line %d: %s\n", __LINE__, #condition); \
            exit(1); \
        } \
    } while (0)

#define KEYS 3

static struct cs_failure why;

/* What one conversation is like. */
struct talk {
    const char *dialect, *records;
    const char *id;   /* The key that the client means. */
    uint8_t wrong;    /* What its secret differs by from the server's. */
};

static const struct talk TALKS[] = {
    { "countersign/1", "required", "k0", 0 },
    { "countersign/1", "required", "k2", 0 },
    { "countersign/1", "required", "k1", 1 },
    { "countersign/1", "required", "unknown", 0 },
    { "countersign/1", "sealed", "k1", 0 },
    { "countersign/1", "sealed", "k1", 1 },
    { "countersign/1", "off", "k1", 0 },
    { "raw", NULL, "k0", 0 },
    { "raw", NULL, "k2", 0 },
    { "raw", NULL, "k1", 1 },
    { "hex", NULL, "k2", 0 },
    { "hex", NULL, "k1", 1 },
    { "multiprocessing", NULL, "k2", 0 },
    { "multiprocessing", NULL, "k1", 1 },
};

/* Adds a key whose secret is taken for undefined. */
static void add(struct cs_keys *keys, const char *id, uint8_t number, const char *dialect)
{
    uint8_t secret[32];

    memset(secret, 7 + number, sizeof secret);
    VALGRIND_MAKE_MEM_UNDEFINED(secret, sizeof secret);
    MUST(cs_keys_add(keys, id, secret, sizeof secret, dialect, NULL, &why) == CS_ERR_NONE);
}

static struct cs_connection *end(bool is_server, const struct talk *talk)
{
    struct cs_keys *keys;
    struct cs_session_config *config;
    struct cs_connection *connection;
    char id[] = "k0";

    MUST(cs_keys_new(&keys, &why) == CS_ERR_NONE);
    for (uint8_t number = 0; is_server && number < KEYS; number++, id[1]++)
        add(keys, id, number, talk->dialect);
    if (!is_server)
        add(keys, talk->id, (uint8_t)(talk->id[1] - '0' + 16 * talk->wrong), talk->dialect);
    MUST(cs_session_config_new(&config, &why) == CS_ERR_NONE);
    MUST(cs_session_config_set_dialect(config, talk->dialect, &why) == CS_ERR_NONE);
    MUST(cs_session_config_set_keys(config, keys, &why) == CS_ERR_NONE);
    if (talk->records)
        MUST(cs_session_config_set_records(config, talk->records, &why) == CS_ERR_NONE);
    if (strcmp(talk->dialect, "multiprocessing") == 0)
        MUST(cs_session_config_set_framing(config, "length", &why) == CS_ERR_NONE);
    MUST((is_server ? cs_connection_server : cs_connection_client)(config, &connection, &why)
         == CS_ERR_NONE);
    cs_keys_free(keys);
    cs_session_config_free(config);
    return connection;
}

/* Gives bytes to an end, which answers messages. Whether it goes on. */
static bool give(struct cs_connection *to, const uint8_t *input, size_t length, bool replies)
{
    enum cs_input_event event;
    const uint8_t *message;
    size_t size;

    for (;;) {
        if (cs_connection_process(to, &input, &length, &event, &why) != CS_ERR_NONE)
            return false;
        if (event == CS_INPUT_WAIT)
            return true;
        if (event != CS_INPUT_MESSAGE)
            continue;
        MUST(cs_connection_message(to, &message, &size) == CS_ERR_NONE);
        if (replies)
            MUST(cs_connection_reply(to, message, size, &why) == CS_ERR_NONE);
    }
}

/* Moves what one end has to send to the other. Whether that one goes on. */
static bool move(struct cs_connection *from, struct cs_connection *to, bool replies)
{
    const uint8_t *output;
    uint8_t wire[4096];
    size_t length;

    MUST(cs_connection_output(from, &output, &length) == CS_ERR_NONE && length <= sizeof wire);
    memcpy(wire, output, length);
    VALGRIND_MAKE_MEM_DEFINED(wire, length);
    MUST(cs_connection_sent(from, length) == CS_ERR_NONE);
    return give(to, wire, length, replies);
}

static void play(const struct talk *talk)
{
    struct cs_connection *client = end(false, talk), *server = end(true, talk);
    uint8_t text[5] = { 'h', 'e', 'l', 'l', 'o' };
    bool goes_on = give(client, NULL, 0, false) && give(server, NULL, 0, false);

    /* What is sealed is a secret, too. */
    if (talk->records && strcmp(talk->records, "sealed") == 0)
        VALGRIND_MAKE_MEM_UNDEFINED(text, sizeof text);
    for (int round = 0; goes_on && round < 4; round++)
        goes_on = move(server, client, false) && move(client, server, true);
    MUST(goes_on == (talk->wrong == 0 && talk->id[0] == 'k' && talk->id[1] != 'n'));
    for (int round = 0; goes_on && round < 4; round++) {
        /* Three share a record, the fourth has one of its own. */
        for (int count = 0; count < 3 - round % 2 * 2; count++)
            MUST(cs_connection_send(client, text, sizeof text, &why) == CS_ERR_NONE);
        goes_on = move(client, server, true) && move(server, client, false);
    }
    cs_connection_free(client);
    cs_connection_free(server);
}

/* A branch and an address that depend on what an end derives: valgrind must report both. */
static void controls(void)
{
    static volatile uint8_t table[256];
    struct cs_connection *client = end(false, &TALKS[0]), *server = end(true, &TALKS[0]);
    uint8_t secret[32];
    volatile uint8_t found = 0;

    for (int round = 0; round < 3; round++)
        MUST(give(client, NULL, 0, false) && move(client, server, true)
             && move(server, client, false));
    MUST(cs_connection_secret(client, "control", secret) == CS_ERR_NONE);
    if (secret[0] == 7)
        found = 1;
    found = table[secret[1]];
    (void)found;
    cs_connection_free(client);
    cs_connection_free(server);
}

int main(int argc, char **argv)
{
    (void)argv;
    if (argc > 1)
        controls();
    else
        for (size_t index = 0; index < sizeof TALKS / sizeof *TALKS; index++)
            play(&TALKS[index]);
    return 0;
}
