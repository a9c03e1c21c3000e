/*
 * A server over POSIX sockets: it serves one client after the other, and sends each message back.
 *
 *     server PORT KEY-ID KEY-IN-HEX [AUDIENCE]
 *
 * An example: a real program keeps its key where others can't read it, and serves several clients.
 */
#include "posix.h"

/* Serves a client to its end. Returns whether it ended in order. */
static int serve(struct cs_session *cs, int fd)
{
    static uint8_t bytes[2048];
    struct cs_bytes input = { NULL, 0 };
    enum cs_event event;
    ssize_t n;

    while ((n = receive_input(fd, &input, bytes, sizeof bytes)) > 0) {
        while ((event = cs_input(cs, &input)) != CS_WAIT) {
            if (event == CS_MESSAGE)
                while (cs_send(cs, cs->message.data, cs->message.length) == CS_NO_ROOM)
                    if (!send_output(cs, fd))
                        return 0;
            if (event == CS_CLOSED)
                cs_finish(cs);
            if (event == CS_FULL && !send_output(cs, fd))
                return 0;
            if (event == CS_CLOSED || event == CS_FAILED)
                return send_output(cs, fd) && event == CS_CLOSED;
        }
        /* What was received together is answered together. */
        if (!send_output(cs, fd))
            return 0;
    }
    return n == 0 && cs_ended(cs) == CS_CLOSED;
}

int main(int argc, char **argv)
{
    static uint8_t in[4 + 16384], out[32768];
    struct cs_key key;
    struct cs_config config = { &key, 1, CS_REQUIRED, { 0 }, { 0 } };
    struct cs_session cs;
    uint8_t random[CS_RANDOM];
    int fd, listener;

    if (argc < 4 || !read_key(&key, argv[2], argv[3], argc > 4 ? argv[4] : ""))
        return usage("server PORT KEY-ID KEY-IN-HEX [AUDIENCE]");
    if (!draw(config.instance, sizeof config.instance) || !draw(config.decoy, sizeof config.decoy))
        return failed("no random bytes");
    listener = listen_at(argv[1]);
    if (listener < 0)
        return failed("cannot listen");
    while ((fd = accept_one(listener)) >= 0) {
        if (!draw(random, sizeof random))
            return failed("no random bytes");
        cs_server(&cs, &config, random, in, sizeof in, out, sizeof out);
        if (!serve(&cs, fd))
            fprintf(stderr, "server: %s\n", why(&cs));
        hang_up(fd);
    }
    return failed("cannot accept");
}
