/*
 * Shows that no branch and no index depends on a secret: valgrind is told that the key is
 * undefined, and complains of each decision that follows from it. Only the verdicts on proofs and
 * tags may: secrets.supp names the functions that draw them. What is sent is public.
 */
#include "../countersign.h"

#include <stdio.h>
#include <string.h>
#include <valgrind/memcheck.h>

static uint8_t secret[80], random[2][32];
static struct cs_key key = { CS_TEXT("k1"), CS_TEXT("time"), { secret, 32 }, { 0 } };
static struct cs_config client_config = { &key, 1, CS_REQUIRED, { 6 }, { 0 } };
static struct cs_config server_config = { &key, 1, CS_REQUIRED, { 7 }, { 8 } };
static struct cs_session client, server;
static uint8_t client_in[2048], client_out[2048], server_in[2048], server_out[2048];

static enum cs_event pass(struct cs_session *from, struct cs_session *to)
{
    struct cs_bytes bytes = cs_output(from);
    enum cs_event event, last = CS_WAIT;

    /* Anybody can see it. */
    VALGRIND_MAKE_MEM_DEFINED(bytes.data, bytes.length);
    while ((event = cs_input(to, &bytes)) != CS_WAIT && event != CS_FAILED)
        last = event;
    return event == CS_FAILED ? event : last;
}

static int talk(enum cs_records records)
{
    uint8_t exported[32];
    int is_right;

    client_config.records = server_config.records = records;
    cs_client(&client, &client_config, random[0], client_in, sizeof client_in, client_out,
              sizeof client_out);
    cs_server(&server, &server_config, random[1], server_in, sizeof server_in, server_out,
              sizeof server_out);
    pass(&client, &server);
    is_right = pass(&server, &client) == CS_OPEN && pass(&client, &server) == CS_OPEN;
    pass(&server, &client);
    is_right &= cs_send(&client, "time", 4) == CS_OK && pass(&client, &server) == CS_MESSAGE;
    is_right &= cs_send(&server, random, 64) == CS_OK && pass(&server, &client) == CS_MESSAGE;
    cs_secret(&client, "label", 5, exported);
    return is_right;
}

static int talk_raw(void)
{
    cs_raw_client(&client, &client_config, client_in, sizeof client_in, client_out,
                  sizeof client_out);
    cs_raw_server(&server, &server_config, random[1], server_in, sizeof server_in, server_out,
                  sizeof server_out);
    return pass(&server, &client) == CS_OPEN && pass(&client, &server) == CS_OPEN;
}

int main(void)
{
    int is_right;

    memset(secret, 's', sizeof secret);
    memset(random, 'r', sizeof random);
    VALGRIND_MAKE_MEM_UNDEFINED(secret, sizeof secret);
    cs_key_init(&key);
    is_right = talk(CS_REQUIRED) && talk(CS_SEALED) && talk_raw();
    key.secret.length = sizeof secret;
    is_right &= talk_raw();
    printf("%s\n", is_right ? "done" : "failed");
    return !is_right;
}
