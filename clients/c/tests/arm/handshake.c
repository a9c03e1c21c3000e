/*
 * A handshake on a Cortex-M0, both ends in one memory, then a message each way: for cycles.py,
 * which counts what runs between the marks.
 */
#include "../../countersign.h"
#include "start.h"

/* A place in the trace. */
__attribute__((noinline, used)) void mark(void)
{
    __asm__ volatile("");
}

static const uint8_t SECRET[32] = { 1, 2, 3 }, RANDOM[2][32] = { { 4 }, { 5 } };
static struct cs_key key = { CS_TEXT("k1"), CS_TEXT("time"), { SECRET, 32 }, { 0 } };
static struct cs_config client_config = { &key, 1, CS_REQUIRED, { 6 }, { 0 } };
static struct cs_config server_config = { &key, 1, CS_REQUIRED, { 7 }, { 8 } };
static uint8_t client_in[CS_CLIENT_MIN], client_out[CS_OUTPUT_MIN];
static uint8_t server_in[CS_SERVER_MIN], server_out[CS_OUTPUT_MIN];
static struct cs_session client, server;

/* Gives one end what the other one sends. */
static enum cs_event pass(struct cs_session *from, struct cs_session *to)
{
    struct cs_bytes bytes = cs_output(from);

    return cs_input(to, &bytes);
}

int main(int argc, char **argv)
{
    static const char message[32] = "a message of thirty-two bytes...";
    int is_right;

    (void)argc, (void)argv;
    mark();
    cs_key_init(&key);
    mark();
    cs_client(&client, &client_config, RANDOM[0], client_in, sizeof client_in, client_out,
              sizeof client_out);
    mark();
    cs_server(&server, &server_config, RANDOM[1], server_in, sizeof server_in, server_out,
              sizeof server_out);
    is_right = pass(&client, &server) == CS_WAIT;
    mark();
    is_right &= pass(&server, &client) == CS_OPEN;
    mark();
    is_right &= pass(&client, &server) == CS_OPEN;
    mark();
    is_right &= pass(&server, &client) == CS_WAIT;
    mark();
    is_right &= cs_send(&client, message, sizeof message) == CS_OK;
    is_right &= cs_output(&client).length == CS_RECORD_MORE + sizeof message;
    mark();
    print(is_right ? "authenticated\n" : "failed\n");
    return !is_right;
}
