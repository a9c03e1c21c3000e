/*
 * What the vectors can't show: full buffers, small ones, and calls at the wrong time. Both ends are
 * here, and what is private in countersign.c is at hand.
 */
#include "../countersign.c"

#include <stdio.h>
#include <stdlib.h>

enum { LARGE = 4096 };

static const uint8_t SECRET[32] = { 1, 2, 3 }, RANDOM[2][32] = { { 4 }, { 5 } };
static struct cs_key key = { CS_TEXT("k1"), CS_TEXT("time"), { SECRET, 32 }, { 0 } };
static struct cs_config client_config = { &key, 1, CS_REQUIRED, { 6 }, { 0 } };
static struct cs_config server_config = { &key, 1, CS_REQUIRED, { 7 }, { 8 } };
static struct cs_session client, server;
static uint8_t client_in[LARGE], client_out[LARGE], server_in[LARGE], server_out[LARGE];

#define CHECK(claim) check(claim, #claim, __LINE__)

static void check(int is_true, const char *claim, int line)
{
    if (is_true)
        return;
    printf("line %d: not so: %s\n", line, claim);
    exit(1);
}

/* Gives one end what the other one has to send, and returns the last event but CS_WAIT. */
static enum cs_event pass(struct cs_session *from, struct cs_session *to)
{
    struct cs_bytes bytes = cs_output(from);
    enum cs_event event, last = CS_WAIT;

    while ((event = cs_input(to, &bytes)) != CS_WAIT) {
        last = event;
        if (event == CS_FAILED || event == CS_FULL)
            break;
    }
    return last;
}

static void open_with(size_t client_size, size_t server_size, size_t out_size)
{
    cs_client(&client, &client_config, RANDOM[0], client_in, client_size, client_out, out_size);
    cs_server(&server, &server_config, RANDOM[1], server_in, server_size, server_out, out_size);
    CHECK(pass(&client, &server) == CS_WAIT);
    CHECK(pass(&server, &client) == CS_OPEN);
    CHECK(pass(&client, &server) == CS_OPEN);
    CHECK(pass(&server, &client) == CS_WAIT);
    CHECK(server.key == &key && client.key == &key);
}

static void the_smallest_buffers_do(void)
{
    uint8_t message[125];

    memset(message, 'm', sizeof message);
    open_with(CS_CLIENT_MIN, CS_SERVER_MIN, CS_OUTPUT_MIN);
    CHECK(cs_send(&server, message, sizeof message) == CS_OK);
    CHECK(pass(&server, &client) == CS_MESSAGE);
    CHECK(client.message.length == sizeof message);
    CHECK(memcmp(client.message.data, message, sizeof message) == 0);
    CHECK(cs_finish(&client) == CS_OK && cs_finish(&client) == CS_OK);
    CHECK(pass(&client, &server) == CS_CLOSED);
    CHECK(cs_finish(&server) == CS_OK);
    CHECK(pass(&server, &client) == CS_CLOSED);
    CHECK(cs_ended(&client) == CS_CLOSED && cs_ended(&server) == CS_CLOSED);
}

static void smaller_buffers_fail(void)
{
    struct cs_bytes nothing = { NULL, 0 };

    cs_client(&client, &client_config, RANDOM[0], client_in, CS_CLIENT_MIN - 1, client_out, LARGE);
    CHECK(cs_input(&client, &nothing) == CS_FAILED && client.error == CS_NO_ROOM);
    cs_server(&server, &server_config, RANDOM[0], server_in, LARGE, server_out, CS_OUTPUT_MIN - 1);
    CHECK(cs_input(&server, &nothing) == CS_FAILED && server.error == CS_NO_ROOM);
    CHECK(cs_output(&client).length == 0 && cs_output(&server).length == 0);
}

static void a_message_that_the_input_cannot_hold_fails(void)
{
    uint8_t message[126] = { 0 };

    open_with(CS_CLIENT_MIN, CS_SERVER_MIN, CS_OUTPUT_MIN);
    CHECK(cs_send(&server, message, sizeof message) == CS_OK);
    CHECK(pass(&server, &client) == CS_FAILED && client.error == CS_TOO_LONG);
    CHECK(cs_send(&client, message, 1) == CS_NOT_OPEN);
}

static void what_is_sent_has_limits(void)
{
    static uint8_t message[1009];

    cs_client(&client, &client_config, RANDOM[0], client_in, LARGE, client_out, LARGE);
    CHECK(cs_send(&client, message, 1) == CS_NOT_OPEN);
    open_with(LARGE, CS_SERVER_MIN, CS_OUTPUT_MIN);
    CHECK(cs_send(&client, message, 1009) == CS_TOO_LONG);
    CHECK(cs_send(&client, message, CS_OUTPUT_MIN - CS_RECORD_MORE + 1) == CS_NO_ROOM);
    CHECK(cs_send(&client, message, CS_OUTPUT_MIN - CS_RECORD_MORE) == CS_OK);
    CHECK(cs_send(&client, message, 0) == CS_NO_ROOM);
    CHECK(cs_finish(&client) == CS_NO_ROOM);
    CHECK(pass(&client, &server) == CS_MESSAGE);
    CHECK(cs_finish(&client) == CS_OK);
    CHECK(cs_send(&client, message, 1) == CS_NOT_OPEN);
}

/* Whatever room there is, what was sent arrives, in order. */
static void batches_fill_any_room(void)
{
    struct cs_bytes bytes;
    size_t size, sent, received;
    uint8_t message[8];

    for (size = CS_OUTPUT_MIN; size < CS_OUTPUT_MIN + 40; size++) {
        open_with(LARGE, LARGE, size);
        for (sent = 0; cs_send(&client, memset(message, (int)sent, 8), sent % 9) == CS_OK; sent++)
            continue;
        bytes = cs_output(&client);
        CHECK(bytes.length <= size && bytes.length + 11 + TAG > size && bytes.data[0] == BATCH);
        for (received = 0; cs_input(&server, &bytes) == CS_MESSAGE; received++) {
            CHECK(server.message.length == received % 9);
            memset(message, (int)received, sizeof message);
            CHECK(memcmp(server.message.data, message, received % 9) == 0);
        }
        CHECK(received == sent);
    }
}

/* Pings wait in the input until there is room for their answers. */
static void pings_wait_for_room(void)
{
    static uint8_t payload[PING_MAX], pings[20 * 145], full;
    struct cs_bytes bytes, input = { pings, sizeof pings };
    size_t i, answered = 0;

    open_with(LARGE, CS_SERVER_MIN, CS_OUTPUT_MIN);
    client.out_size = LARGE;
    for (i = 0; i < 20; i++)
        append_record(&client, PING, payload, sizeof payload);
    bytes = cs_output(&client);
    CHECK(bytes.length == sizeof pings);
    memcpy(pings, bytes.data, bytes.length);
    while (input.length > 0 || full) {
        full = cs_input(&server, &input) == CS_FULL;
        bytes = cs_output(&server);
        CHECK(bytes.length % 145 == 0);
        answered += bytes.length / 145;
        CHECK(cs_input(&client, &bytes) == CS_WAIT);
    }
    CHECK(answered == 20);
}

static void a_failure_leaves_no_key(void)
{
    static const uint8_t zeros[sizeof(struct cs_session)];
    struct cs_bytes bytes;

    open_with(LARGE, LARGE, LARGE);
    CHECK(cs_send(&server, "due", 3) == CS_OK);
    CHECK(cs_send(&client, "time", 4) == CS_OK);
    bytes = cs_output(&client);
    client_out[5] ^= 1;
    CHECK(cs_input(&server, &bytes) == CS_FAILED && server.error == CS_BAD_RECORD);
    /* What was sent before the failure is still right. */
    CHECK(pass(&server, &client) == CS_MESSAGE);
    CHECK(memcmp(&server.ours, zeros, sizeof server - offsetof(struct cs_session, ours)) == 0);
    cs_wipe(&client, sizeof client);
    CHECK(memcmp(&client, zeros, sizeof client) == 0);
}

static void a_server_refuses_in_a_handshake_alone(void)
{
    open_with(LARGE, LARGE, LARGE);
    cs_refuse(&server, CS_REFUSE_BUSY);
    CHECK(cs_output(&server).length == 0);
    cs_client(&client, &client_config, RANDOM[0], client_in, LARGE, client_out, LARGE);
    cs_server(&server, &server_config, RANDOM[1], server_in, LARGE, server_out, LARGE);
    CHECK(pass(&client, &server) == CS_WAIT);
    CHECK(pass(&server, &client) == CS_OPEN);
    cs_refuse(&server, CS_REFUSE_TIMEOUT);
    CHECK(pass(&server, &client) == CS_FAILED);
    CHECK(client.error == CS_REFUSED && client.refusal == CS_REFUSE_TIMEOUT);
}

/* The size of the input is what is offered, within what the protocol allows. */
static void the_longest_record_is_what_the_input_holds(void)
{
    static const size_t sizes[4] = { CS_CLIENT_MIN, 1029, 0x1000003, (size_t)0x1000003 + 99 };
    static const uint32_t offered[4] = { 1024, 1025, LENGTH_MAX, LENGTH_MAX };
    size_t i;

    for (i = 0; i < 4; i++) {
        cs_client(&client, &client_config, RANDOM[0], client_in, sizes[i], client_out, LARGE);
        CHECK(load(cs_output(&client).data + 16, 4) == offered[i]);
    }
}

int main(void)
{
    cs_key_init(&key);
    the_smallest_buffers_do();
    smaller_buffers_fail();
    a_message_that_the_input_cannot_hold_fails();
    what_is_sent_has_limits();
    batches_fill_any_room();
    pings_wait_for_room();
    a_failure_leaves_no_key();
    a_server_refuses_in_a_handshake_alone();
    the_longest_record_is_what_the_input_holds();
    printf("limits: all as promised\n");
    return 0;
}
