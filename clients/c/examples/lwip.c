/*
 * A client over the callbacks of lwIP: it sends what a sensor measures, and closes when the server
 * has replied. The same shape fits any stack that calls you when bytes have arrived.
 *
 * One connection takes 700 bytes beside what lwIP takes: the session and its two buffers.
 */
#include "../countersign.h"

#include <lwip/tcp.h>
#include <string.h>

/* From your machine: random bytes from its hardware, and what is to be told. */
void hardware_random(uint8_t *bytes, size_t length);
size_t measure(char *text, size_t size);

struct client {
    struct tcp_pcb *pcb;
    struct cs_session cs;
    uint8_t in[CS_CLIENT_MIN];
    uint8_t out[CS_OUTPUT_MIN];
};

static struct cs_key key = { CS_TEXT("sensor-7"), CS_TEXT(""), { NULL, 0 }, { 0 } };
static struct cs_config config = { &key, 1, CS_REQUIRED, { 0 }, { 0 } };

/* Gives lwIP what the session has to send. If it has no room, the connection is given up. */
static int flush(struct client *client)
{
    struct cs_bytes output = cs_output(&client->cs);

    return output.length == 0
        || (tcp_write(client->pcb, output.data, (u16_t)output.length, TCP_WRITE_FLAG_COPY) == ERR_OK
            && tcp_output(client->pcb) == ERR_OK);
}

/* Takes a piece of what has arrived. Returns whether the connection goes on. */
static int take(struct client *client, const void *data, size_t length)
{
    struct cs_bytes input = { (const uint8_t *)data, length };
    enum cs_event event;
    char text[64];

    while ((event = cs_input(&client->cs, &input)) != CS_WAIT) {
        if (event == CS_OPEN && flush(client))
            cs_send(&client->cs, text, measure(text, sizeof text));
        if (event == CS_MESSAGE)
            cs_finish(&client->cs);
        if (!flush(client) || event == CS_FAILED || event == CS_CLOSED)
            return 0;
    }
    return flush(client);
}

static err_t end(struct client *client)
{
    cs_wipe(&client->cs, sizeof client->cs);
    tcp_arg(client->pcb, NULL);
    tcp_recv(client->pcb, NULL);
    if (tcp_close(client->pcb) == ERR_OK)
        return ERR_OK;
    tcp_abort(client->pcb);
    return ERR_ABRT;
}

static err_t received(void *argument, struct tcp_pcb *pcb, struct pbuf *chain, err_t error)
{
    struct client *client = (struct client *)argument;
    struct pbuf *each;
    int goes_on = chain != NULL && error == ERR_OK;

    for (each = chain; each != NULL && goes_on; each = each->next)
        goes_on = take(client, each->payload, each->len);
    if (chain != NULL) {
        tcp_recved(pcb, chain->tot_len);
        pbuf_free(chain);
    }
    return goes_on ? ERR_OK : end(client);
}

static err_t connected(void *argument, struct tcp_pcb *pcb, err_t error)
{
    struct client *client = (struct client *)argument;
    uint8_t random[CS_RANDOM];

    (void)pcb, (void)error;
    hardware_random(random, sizeof random);
    cs_client(&client->cs, &config, random, client->in, sizeof client->in, client->out,
              sizeof client->out);
    return flush(client) ? ERR_OK : end(client);
}

/* Once, when the machine starts. */
void client_init(const uint8_t secret[32])
{
    key.secret.data = secret;
    key.secret.length = 32;
    cs_key_init(&key);
    hardware_random(config.instance, sizeof config.instance);
}

/* Each time that there is something to tell. `client` must last until the connection has ended. */
err_t client_start(struct client *client, const ip_addr_t *server)
{
    client->pcb = tcp_new();
    if (client->pcb == NULL)
        return ERR_MEM;
    tcp_arg(client->pcb, client);
    tcp_recv(client->pcb, received);
    return tcp_connect(client->pcb, server, 9527, connected);
}
