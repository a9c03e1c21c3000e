/*
 * A client over POSIX sockets: it sends each line that it reads, and prints the replies.
 *
 *     client HOST PORT KEY-ID KEY-IN-HEX [AUDIENCE] < lines
 *
 * An example: a real program keeps its key where others can't read it, and sets a deadline.
 */
#include "posix.h"

/* Reads what arrives until there is an event that is not a message. Messages are printed. */
static enum cs_event wait_for(struct cs_session *cs, int fd, struct cs_bytes *input, size_t *owed)
{
    static uint8_t bytes[2048];
    enum cs_event event;
    ssize_t n;

    for (;;) {
        event = cs_input(cs, input);
        if (!send_output(cs, fd))
            return CS_FAILED;
        if (event == CS_MESSAGE) {
            printf("%.*s\n", (int)cs->message.length, (const char *)cs->message.data);
            if (*owed > 0 && --*owed == 0)
                return CS_MESSAGE;
        } else if (event == CS_WAIT) {
            n = receive_input(fd, input, bytes, sizeof bytes);
            if (n <= 0)
                return n < 0 ? CS_FAILED : cs_ended(cs);
        } else if (event != CS_FULL) {
            return event;
        }
    }
}

int main(int argc, char **argv)
{
    static uint8_t in[4 + 16384], out[16384];
    struct cs_key key;
    struct cs_config config = { &key, 1, CS_REQUIRED, { 0 }, { 0 } };
    struct cs_session cs;
    struct cs_bytes input = { NULL, 0 };
    uint8_t random[CS_RANDOM];
    char line[4096];
    size_t owed = 0;
    int fd;

    if (argc < 5 || !read_key(&key, argv[3], argv[4], argc > 5 ? argv[5] : ""))
        return usage("client HOST PORT KEY-ID KEY-IN-HEX [AUDIENCE]");
    if (!draw(config.instance, sizeof config.instance) || !draw(random, sizeof random))
        return failed("no random bytes");
    fd = dial(argv[1], argv[2]);
    if (fd < 0)
        return failed("cannot connect");
    cs_client(&cs, &config, random, in, sizeof in, out, sizeof out);
    if (wait_for(&cs, fd, &input, &owed) != CS_OPEN)
        return failed(why(&cs));
    while (fgets(line, sizeof line, stdin) != NULL) {
        cs_send(&cs, line, strcspn(line, "\n"));
        owed = 1;
        if (wait_for(&cs, fd, &input, &owed) != CS_MESSAGE)
            return failed(why(&cs));
    }
    cs_finish(&cs);
    if (wait_for(&cs, fd, &input, &owed) != CS_CLOSED)
        return failed(why(&cs));
    cs_wipe(&cs, sizeof cs);
    cs_wipe(&key, sizeof key);
    return 0;
}
