/*
 * A client: sends each line of stdin as a message, and prints each reply as a line.
 *
 *     client ADDRESS KEYFILE
 */
#include "example.h"

#include <string.h>

int main(int argc, char **argv)
{
    struct cs_session_config *config;
    struct cs_client *client;
    struct cs_failure why;
    const uint8_t *reply;
    char *line = NULL;
    size_t room = 0, length;

    if (argc != 3) {
        fprintf(stderr, "usage: client ADDRESS KEYFILE\n");
        return 2;
    }
    config = read_config("client", argv[2]);
    check("client", cs_client_connect(argv[1], config, -1, &client, &why), &why);
    cs_session_config_free(config);

    while (getline(&line, &room, stdin) >= 0) {
        length = strcspn(line, "\n");
        check("client", cs_client_ask(client, (const uint8_t *)line, length, &reply, &length, &why),
              &why);
        fwrite(reply, 1, length, stdout);
        putchar('\n');
        fflush(stdout);
    }
    free(line);

    /* What proves that no reply is missing is the server's end of the stream. */
    check("client", cs_client_finish(client, &why), &why);
    if (cs_client_receive(client, &reply, &length, &why) != CS_ERR_ENDED) {
        fprintf(stderr, "client: %s\n", why.message);
        return 1;
    }
    cs_client_free(client);
    return 0;
}
