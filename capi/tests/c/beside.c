/* The bare protocol, whose client talks to the server of a host's library. */
#include <countersign.h>
#include <countersign_host.h>

#include <string.h>

static const uint8_t SECRET[16] = { 1, 2, 3, 4, 5, 6, 7, 8, 9 };

/* The server's end, of the library. */
static struct cs_connection *server(void)
{
    struct cs_connection *connection = NULL;
    struct cs_session_config *config = NULL;
    struct cs_keys *keys = NULL;

    cs_keys_new(&keys, NULL);
    cs_keys_add(keys, "meter", SECRET, sizeof SECRET, NULL, NULL, NULL);
    cs_session_config_new(&config, NULL);
    cs_session_config_set_keys(config, keys, NULL);
    cs_connection_server(config, &connection, NULL);
    cs_session_config_free(config);
    cs_keys_free(keys);
    return connection;
}

int main(void)
{
    struct cs_key key = { CS_TEXT("meter"), { NULL, 0 }, { SECRET, sizeof SECRET }, { 0 } };
    struct cs_config config = { &key, 1, CS_REQUIRED, { 9, 9 }, { 0 } };
    struct cs_connection *host = server();
    struct cs_session client;
    struct cs_bytes bytes;
    enum cs_input_event event = CS_INPUT_WAIT;
    uint8_t random[CS_RANDOM] = { 3 }, in[1024], out[CS_OUTPUT_MIN];

    cs_key_init(&key);
    cs_client(&client, &config, random, in, sizeof in, out, sizeof out);
    bytes = cs_output(&client);
    if (cs_connection_process(host, &bytes.data, &bytes.length, &event, NULL) != CS_ERR_NONE)
        return 1;
    if (cs_connection_output(host, &bytes.data, &bytes.length) != CS_ERR_NONE)
        return 2;
    if (cs_input(&client, &bytes) != CS_OPEN || cs_send(&client, "hello", 5) != CS_OK)
        return 3;
    bytes = cs_output(&client);
    while (event != CS_INPUT_MESSAGE)
        if (cs_connection_process(host, &bytes.data, &bytes.length, &event, NULL) != CS_ERR_NONE
            || (event == CS_INPUT_WAIT && bytes.length == 0))
            return 4;
    if (cs_connection_message(host, &bytes.data, &bytes.length) != CS_ERR_NONE
        || bytes.length != 5 || memcmp(bytes.data, "hello", 5) != 0)
        return 5;
    cs_connection_free(host);
    return 0;
}
